package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Terms;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * What a method makes of one linear layer (seam 1).
 *
 * <p>{@link #weight} is the definition; {@link #forward} is the same function without forming W', and is checked
 * against it. Merging is the definition.
 */
public interface Projection {
    /**
     * {@code y = f(x; W, theta)}.
     *
     * @param x {@code [B, .., in]}
     * @param inner the layer below this method: the base layer, or a method attached before; its result belongs to the
     *     caller, who may overwrite it
     * @param pass of these rows alone: its first group is theirs
     */
    Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass);

    /**
     * This method as a low-rank term of the base layer's own product, if it is nothing else: then the term joins that
     * product instead of {@link #forward}.
     *
     * @param x what {@link #forward} would be given; but for training, of more rows than the method's own where other rows of a batch
     *     have such terms too
     */
    default Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
        return Optional.empty();
    }

    /** {@code W' = g(W, theta)}, {@code [out, in]}. */
    Var weight(Var w);

    /** The bias after merging; by default unchanged. Null where the layer has none. */
    default Var bias(Var b) {
        return b;
    }
}
