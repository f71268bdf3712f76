package dev.jotune.autograd;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Gradient checkpointing (Chen et al., arXiv 1604.06174): a part of a computation keeps its outputs only and runs
 * again when the gradient passes, trading one more forward for the memory of its intermediate results.
 */
public final class Checkpoint {
    private Checkpoint() {}

    /**
     * {@code f(inputs)}, recomputed in the backward pass. Values and gradients are those of {@code f} bit for bit,
     * provided that {@code f} computes the same each time: noise must be counter-based, as {@code Dropout} has it.
     *
     * <p>Whatever {@code f} reads gets its gradient, also what it captures instead of taking it as input: parameters,
     * and values computed before.
     *
     * @param f must not keep anything it makes except in its result
     */
    public static Var[] apply(Function<Var[], Var[]> f, Var... inputs) {
        if (!Recording.isOn()) {
            try (Scope scope = Scope.open()) {
                return kept(scope, f.apply(inputs));
            }
        }
        long start = Node.now();
        Var[] values;
        Var[] externals;
        try (Scope scope = Scope.open()) {
            values = kept(scope, f.apply(inputs));
            externals = externals(values, start);
        }
        List<Integer> live = new ArrayList<>();
        for (int i = 0; i < values.length; i++) {
            if (values[i].requiresGrad()) {
                live.add(i);
            }
        }
        Tensor[] tensors = live.stream().map(i -> values[i].tensor()).toArray(Tensor[]::new);
        Var[] recorded = Node.record("checkpoint", externals, tensors,
                (up, needed) -> backward(f, inputs, live, externals, up, needed));
        Var[] out = new Var[values.length];
        Arrays.setAll(out, i -> live.contains(i) ? recorded[live.indexOf(i)] : Var.constant(values[i].tensor()));
        return out;
    }

    /**
     * A block of a model: {@code block(input)}, recomputed in the backward pass if {@code on} and something records; else
     * with what {@link Trim} leaves of it.
     */
    public static Var when(boolean on, UnaryOperator<Var> block, Var input) {
        Function<Var[], Var[]> f = x -> new Var[] {block.apply(x[0])};
        return (on && Recording.isOn() ? apply(f, input) : Trim.apply(f, input))[0];
    }

    private static Var[] kept(Scope scope, Var[] values) {
        for (Var v : values) {
            scope.keep(v.tensor());
        }
        return values;
    }

    /** The values with a gradient, older than {@code start}, that {@code outputs} were computed from. */
    private static Var[] externals(Var[] outputs, long start) {
        Set<Var> found = new LinkedHashSet<>();
        Map<Node, Boolean> seen = new IdentityHashMap<>();
        List<Var> stack = new ArrayList<>(Arrays.asList(outputs));
        while (!stack.isEmpty()) {
            Var v = stack.removeLast();
            if (v.requiresGrad() && (v.node() == null || v.node().id <= start)) {
                found.add(v);
            } else if (v.node() != null && seen.put(v.node(), true) == null) {
                stack.addAll(Arrays.asList(v.node().inputs));
            }
        }
        return found.toArray(Var[]::new);
    }

    private static Var[] backward(Function<Var[], Var[]> f, Var[] inputs, List<Integer> live, Var[] externals, Var[] up,
            boolean[] needed) {
        boolean twice = Recording.isOn();
        List<Var> wrt = new ArrayList<>();
        for (int i = 0; i < externals.length; i++) {
            if (needed[i]) {
                wrt.add(externals[i]);
            }
        }
        List<Var> grads;
        if (twice) {
            grads = walk(f, inputs, live, up, (outputs, upstream) -> Gradients.upTo(outputs, upstream, wrt, true));
        } else {
            try (Scope scope = Scope.open()) {
                grads = walk(f, inputs, live, up, (outputs, upstream) -> Gradients.consumeUpTo(outputs, upstream, wrt));
                grads.forEach(g -> scope.keep(g.tensor()));
            }
        }
        Var[] result = new Var[externals.length];
        for (int i = 0, k = 0; i < result.length; i++) {
            result[i] = needed[i] ? grads.get(k++) : null;
        }
        return result;
    }

    private interface Walk {
        List<Var> back(List<Var> outputs, List<Var> upstream);
    }

    private static List<Var> walk(Function<Var[], Var[]> f, Var[] inputs, List<Integer> live, Var[] up, Walk walk) {
        Var[] again = Recording.on(() -> f.apply(inputs));
        List<Var> outputs = new ArrayList<>();
        List<Var> upstream = new ArrayList<>();
        for (int k = 0; k < up.length; k++) {
            if (up[k] != null) {
                outputs.add(again[live.get(k)]);
                upstream.add(up[k]);
            }
        }
        return walk.back(outputs, upstream);
    }
}
