package dev.jotune.models.decoder;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel.Linear;
import dev.jotune.tensor.kernels.DecodeKernel.Weight;
import java.util.ArrayList;
import java.util.List;

/** What prepared steps read of a model, and whether the model still has it. */
final class DecodeParts {
    private final List<Parameter> parameters = new ArrayList<>();
    private final List<StoredWeight> seen = new ArrayList<>();
    private boolean readable = true;

    Linear linear(LinearLayer layer) {
        readable &= !layer.transposed();
        return new Linear(weight(layer.weight()), layer.bias().map(this::vector));
    }

    Weight weight(Parameter parameter) {
        return switch (note(parameter)) {
            case StoredWeight.Dense d -> Weight.of(d.value().tensor());
            case StoredWeight.Quantized q -> {
                readable &= !q.transposed();
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

    private StoredWeight note(Parameter p) {
        StoredWeight stored = p.unpacked();
        parameters.add(p);
        seen.add(stored);
        return stored;
    }

    /** Whether everything lies as the kernel reads it. */
    boolean isReadable() {
        return readable;
    }

    /** Whether no weight was replaced since. */
    boolean isCurrent() {
        for (int i = 0; i < seen.size(); i++) {
            if (parameters.get(i).stored() != seen.get(i)) {
                return false;
            }
        }
        return true;
    }
}
