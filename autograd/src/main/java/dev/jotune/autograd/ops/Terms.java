package dev.jotune.autograd.ops;

import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.Var;
import java.util.Optional;

/**
 * What joins a linear map {@code y = x W^T} in the pass that writes it.
 *
 * @param lowRank a low-rank term
 * @param bias {@code [out]}
 * @param residual {@code [.., out]}
 */
public record Terms(Optional<LowRank> lowRank, Optional<Var> bias, Optional<Var> residual) {
    /** The product alone. */
    public static final Terms NONE = new Terms(Optional.empty(), Optional.empty(), Optional.empty());

    /**
     * {@code s (x A^T) B^T}.
     *
     * @param input x {@code [.., in]}: mostly the very input of the map, or that after dropout
     * @param down A {@code [R, in]}
     * @param up B {@code [out, R]}
     * @param scale s
     */
    public record LowRank(Var input, Var down, Var up, double scale) {}

    /** A bias alone. */
    public static Terms bias(Optional<Var> bias) {
        return bias.isEmpty() ? NONE : new Terms(Optional.empty(), bias, Optional.empty());
    }

    public Terms withLowRank(LowRank term) {
        return new Terms(Optional.of(term), bias, residual);
    }

    public Terms withResidual(Var r) {
        return new Terms(lowRank, bias, Optional.of(r));
    }

    /** {@code y} and these terms, one after another; {@code y} was made for the caller alone and is not used afterwards. */
    public Var addTo(Var y) {
        Var sum = bias.isPresent() ? y.add(bias.get()) : y;
        if (lowRank.isPresent()) {
            LowRank l = lowRank.get();
            sum = InPlace.addMatmul(sum, Linear.apply(l.input(), l.down().mul(l.scale())), l.up());
        }
        return residual.isPresent() ? sum.add(residual.get()) : sum;
    }
}
