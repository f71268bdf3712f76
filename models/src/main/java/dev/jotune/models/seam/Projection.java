package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
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
     */
    Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass);

    /** {@code W' = g(W, theta)}, {@code [out, in]}. */
    Var weight(Var w);

    /** The bias after merging; by default unchanged. Null where the layer has none. */
    default Var bias(Var b) {
        return b;
    }
}
