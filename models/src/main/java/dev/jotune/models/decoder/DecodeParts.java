package dev.jotune.models.decoder;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel.Linear;
import dev.jotune.tensor.kernels.DecodeKernel.LowRank;
import dev.jotune.tensor.kernels.DecodeKernel.Prefix;
import dev.jotune.tensor.kernels.DecodeKernel.Weight;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What prepared steps read of a model and of the adapters of a pass, and whether these still have it. */
final class DecodeParts {
    private final Pass pass;
    private final Group group;
    private final List<Parameter> parameters = new ArrayList<>();
    private final List<StoredWeight> seen = new ArrayList<>();
    private final List<Var> factors = new ArrayList<>();
    private final List<Tensor> factorsSeen = new ArrayList<>();
    private final List<List<Attention.Segment>> segments;
    private final Set<String> visited = new HashSet<>();
    private Optional<String> obstacle = Optional.empty();

    /**
     * @param pass uniform
     * @param segments what its adapters add to each layer's attention
     */
    DecodeParts(Pass pass, List<List<Attention.Segment>> segments) {
        this.pass = pass;
        this.group = pass.groups().getFirst();
        this.segments = segments;
    }

    Linear linear(LinearLayer layer) {
        if (layer.transposed()) {
            refuse(layer.path() + " is stored by inputs");
        }
        visited.add(layer.path());
        List<LowRank> terms = new ArrayList<>();
        for (Hooks h : group.hooks()) {
            Projection p = h.projections().get(layer.path());
            if (p != null) {
                term(h, p, layer).ifPresent(terms::add);
            }
        }
        return new Linear(weight(layer.weight()), layer.bias().map(this::vector), terms);
    }

    /** An adapter's change of a layer as a low-rank term, if it is that, of x itself, and of factors that stay where they are. */
    private Optional<LowRank> term(Hooks h, Projection p, LinearLayer layer) {
        try (Scope _ = Scope.open()) {
            Var x = Var.constant(Tensor.zeros(layer.weight().backend(), DType.F32, 1, 1, layer.in()));
            Optional<Terms.LowRank> term = Recording.off(() -> p.lowRank(x, layer, pass));
            Optional<Terms.LowRank> again = Recording.off(() -> p.lowRank(x, layer, pass));
            if (term.isEmpty() || term.get().input() != x || term.get().down().tensor() != again.get().down().tensor()
                    || term.get().up().tensor() != again.get().up().tensor()) {
                refuse("adapter '" + h.name() + "' makes of " + layer.path() + " more than a low-rank term");
                return Optional.empty();
            }
            return Optional.of(new LowRank(factor(term.get().down()), factor(term.get().up()), term.get().scale()));
        }
    }

    private Tensor factor(Var v) {
        factors.add(v);
        factorsSeen.add(v.tensor());
        return v.tensor();
    }

    Weight weight(Parameter parameter) {
        return switch (note(parameter)) {
            case StoredWeight.Dense d -> Weight.of(d.value().tensor());
            case StoredWeight.Quantized q -> {
                if (q.transposed()) {
                    refuse(parameter.path() + " is stored by inputs");
                }
                yield Weight.of(q.matrix());
            }
            case StoredWeight.Packed p -> throw new IllegalStateException(p + " was not brought back into the checkpoint's order");
        };
    }

    private Tensor vector(Parameter p) {
        return note(p).dense().tensor();
    }

    /** The factors of a norm: as they lie where they are F32 and not counted from 1, else a copy. */
    Tensor norm(RmsNorm norm) {
        Tensor factors = vector(norm.weight());
        return norm.unit() ? Scope.detach(Recording.off(() -> Var.constant(factors.to(DType.F32)).add(1)).tensor()) : factors;
    }

    /** What adapters put before the cache of a layer whose queries see {@code window} keys, 0: all. */
    List<Prefix> prefixes(int layer, int window) {
        List<Prefix> all = new ArrayList<>();
        if (window > 0 && group.segmentPositions() > 0) {
            refuse("the window of layer " + layer + " slides over an adapter's keys");
        }
        for (Attention.Segment s : segments.get(layer)) {
            if (!s.visible().equals(Attention.Visible.ALL) || s.rows().isPresent()) {
                refuse("not every query sees all of an adapter's keys");
            }
            all.add(new Prefix(Scope.detach(s.key().tensor()), Scope.detach(s.value().tensor())));
        }
        return all;
    }

    private StoredWeight note(Parameter p) {
        if (p.isOverridden(group)) {
            visited.add(p.path());
            StoredWeight own = p.stored(group);
            factor(own.dense());
            return own;
        }
        StoredWeight stored = p.unpacked();
        parameters.add(p);
        seen.add(stored);
        return stored;
    }

    private void refuse(String why) {
        obstacle = obstacle.or(() -> Optional.of(why));
    }

    /** Why the kernel cannot read what it was given; asked when all of it was. */
    Optional<String> obstacle() {
        for (Hooks h : group.hooks()) {
            for (Set<String> changed : List.of(h.projections().keySet(), h.overrides().keySet())) {
                changed.stream().filter(path -> !visited.contains(path)).findFirst()
                        .ifPresent(path -> refuse("adapter '" + h.name() + "' changes " + path));
            }
        }
        return obstacle;
    }

    /** Whether no weight was replaced since. */
    boolean isCurrent() {
        for (int i = 0; i < seen.size(); i++) {
            if (parameters.get(i).stored() != seen.get(i)) {
                return false;
            }
        }
        for (int i = 0; i < factors.size(); i++) {
            if (factors.get(i).tensor() != factorsSeen.get(i)) {
                return false;
            }
        }
        return true;
    }
}
