package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * Several adapters of projections as one, side by side, each seeing the base layer:
 *
 * <p>{@code y = f(x) + sum of w_i (f_i(x) - f(x))} with the base layer f and the adapters' layers f_i, merged
 * {@code W' = W + sum of w_i (W_i' - W)}. Weights of 1 add up what each adds ({@link #parallel}); equal weights that add up to 1 are the
 * mean of their outputs ({@link #average}). To stack them instead, each on the one before, activate them in their order:
 * {@code model.seams().activate("first", "second")}.
 */
public final class Composition {
    private Composition() {}

    /** What each of {@code parts} adds to the base, added up. */
    public static Hooks parallel(Backbone model, String name, List<Hooks> parts) {
        return weighted(model, name, parts, Collections.nCopies(parts.size(), 1.0));
    }

    /** The mean of their outputs, layer by layer; where an adapter has no layer it counts as the base. */
    public static Hooks average(Backbone model, String name, List<Hooks> parts) {
        return weighted(model, name, parts, Collections.nCopies(parts.size(), 1.0 / parts.size()));
    }

    /**
     * The general case. The result is attached to the model as any adapter's hooks are; the parts need not be.
     *
     * @throws AdapterException if a part is more than projections and weights of its own, naming it
     */
    public static Hooks weighted(Backbone model, String name, List<Hooks> parts, List<Double> weights) {
        if (parts.isEmpty() || parts.size() != weights.size()) {
            throw new AdapterException(weights.size() + " weights are given for " + parts.size() + " adapters. Give one for each.");
        }
        Set<String> layers = new LinkedHashSet<>();
        Set<String> own = new LinkedHashSet<>();
        for (Hooks h : parts) {
            if (h.segments().isPresent() || !h.virtualTokens().isEmpty() || !h.taps().isEmpty()) {
                throw new AdapterException("the adapter '" + h.name() + "' holds more than linear layers, and only those can stand side by "
                        + "side. Activate it beside the others instead.");
            }
            layers.addAll(h.projections().keySet());
            own.addAll(h.overrides().keySet());
        }
        Map<String, Projection> projections = new LinkedHashMap<>();
        for (String path : layers) {
            projections.put(path, SideBySide.of(path, parts, weights));
        }
        Map<String, Var> overrides = new LinkedHashMap<>();
        for (String path : own) {
            Parameter p = model.seams().parameters().get(path);
            Var sum = p.base();
            for (int i = 0; i < parts.size(); i++) {
                Var theirs = parts.get(i).overrides().get(path);
                sum = theirs == null ? sum : sum.add(theirs.sub(p.base()).mul(weights.get(i)));
            }
            overrides.put(path, sum);
        }
        return new Hooks(name, projections, overrides, Optional.empty(), Map.of(), Map.of());
    }

    /** The projections of one layer, and how much the base layer counts beside them. */
    private record SideBySide(List<Projection> parts, List<Double> weights, double rest) implements Projection {
        static SideBySide of(String path, List<Hooks> hooks, List<Double> weights) {
            List<Integer> there = Stream.iterate(0, i -> i < hooks.size(), i -> i + 1)
                    .filter(i -> hooks.get(i).projections().containsKey(path)).toList();
            List<Double> own = there.stream().map(weights::get).toList();
            return new SideBySide(there.stream().map(i -> hooks.get(i).projections().get(path)).toList(), own,
                    1 - own.stream().mapToDouble(w -> w).sum());
        }

        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var y = rest == 0 ? null : inner.apply(x).mul(rest);
            for (int i = 0; i < parts.size(); i++) {
                Var part = parts.get(i).forward(x, inner, layer, pass).mul(weights.get(i));
                y = y == null ? part : y.add(part);
            }
            return y;
        }

        @Override
        public Var weight(Var w) {
            Var sum = w.mul(rest);
            for (int i = 0; i < parts.size(); i++) {
                sum = sum.add(parts.get(i).weight(w).mul(weights.get(i)));
            }
            return sum;
        }

        @Override
        public Var bias(Var b) {
            boolean any = b != null || parts.stream().anyMatch(p -> p.bias(null) != null);
            if (!any) {
                return null;
            }
            Var sum = b == null ? null : b.mul(rest);
            for (int i = 0; i < parts.size(); i++) {
                Var own = parts.get(i).bias(b);
                if (own != null) {
                    sum = sum == null ? own.mul(weights.get(i)) : sum.add(own.mul(weights.get(i)));
                }
            }
            return sum;
        }
    }
}
