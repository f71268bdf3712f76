package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;

/**
 * Rows of a table by token id or position, each group of rows of a batch with its own table.
 *
 * @param weight {@code [N, C]}
 * @param padding a row that gets no gradient, as torch's {@code padding_idx}
 * @param scale factor of what is looked up
 * @param computeType of the result
 * @param site what methods hang on; absent where they may not
 */
public record Table(Parameter weight, OptionalInt padding, double scale, DType computeType, Optional<LinearLayer> site) {
    public Table(Parameter weight, OptionalInt padding, double scale, DType computeType) {
        this(weight, padding, scale, computeType, Optional.empty());
    }

    public Table(Parameter weight, double scale, DType computeType) {
        this(weight, OptionalInt.empty(), scale, computeType);
    }

    /** This table as a place for methods. */
    public Table in(Seams seams) {
        return new Table(weight, padding, scale, computeType, Optional.of(seams.addTable(weight)));
    }

    /** The same under the name of the module that reads it, which is not the one that holds it. */
    public Table in(Seams seams, String path) {
        return new Table(weight, padding, scale, computeType, Optional.of(seams.addTable(path, weight)));
    }

    /**
     * {@code ids [B, T] -> [B, T, C]}.
     *
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public Var rows(Tensor given, Pass pass) {
        Tensor ids = given.to(weight.backend());
        if (pass.isUniform()) {
            return lookup(ids, pass.groups().getFirst(), pass);
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        return pass.perGroup(Var.constant(ids.to(computeType)), (x, g) -> lookup(x.tensor().contiguous().to(DType.I64), g, pass.within(g)));
    }

    private Var lookup(Tensor ids, Group g, Pass pass) {
        StoredWeight t = weight.stored(g);
        Var rows = t instanceof StoredWeight.Dense(Var value) ? dense(value, ids) : t.lookup(ids, computeType);
        if (site.isPresent()) {
            UnaryOperator<Var> lookup = v -> dense(v, ids);
            for (Hooks h : g.hooks()) {
                if (h.projections().get(site.get().path()) instanceof RowProjection p) {
                    rows = p.rows(rows, lookup, site.get(), pass);
                }
            }
        }
        return scale == 1 ? rows : rows.mul(scale);
    }

    private Var dense(Var value, Tensor ids) {
        // Beside the lookup, the padding row costs a second one, for its gradient's sake alone.
        return (padding.isPresent() && value.requiresGrad() ? Embedding.lookup(value, ids, padding.getAsInt()) : Embedding.lookup(value, ids))
                .to(computeType);
    }
}
