package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What an operation's first derivative reads of its inputs and outputs, and how its output can be had again: what
 * {@link Trim} may free when a part of a computation is done.
 *
 * <p>Whoever declares this promises that the derivative takes the inputs from their {@link Var}s when it runs: a tensor
 * that was read before may be gone by then.
 *
 * @param inputs bit i: input i is read
 * @param outputs whether the outputs are read
 * @param declared false: nothing is known, everything is kept as it is
 * @param again computes the one output anew from the inputs; for operations that cost less than their output's memory
 */
public record Reads(long inputs, boolean outputs, boolean declared, Optional<Supplier<Tensor>> again) {
    private static final long EVERY = -1;

    /** Nothing is known of it. */
    static final Reads UNKNOWN = new Reads(EVERY, true, false, Optional.empty());
    /** Only gradients. */
    public static final Reads NOTHING = new Reads(0, false, true, Optional.empty());
    /** All inputs and all outputs. */
    public static final Reads EVERYTHING = new Reads(EVERY, true, true, Optional.empty());

    /** These inputs. */
    public static Reads inputs(int... which) {
        long mask = 0;
        for (int i : which) {
            mask |= 1L << i;
        }
        return new Reads(mask, false, true, Optional.empty());
    }

    static Reads mask(long inputs) {
        return new Reads(inputs, false, true, Optional.empty());
    }

    /** The same, of an operation whose output {@code compute} makes again. */
    public Reads again(Supplier<Tensor> compute) {
        return new Reads(inputs, outputs, declared, Optional.of(compute));
    }

    boolean input(int i) {
        return inputs == EVERY || i < Long.SIZE && (inputs >> i & 1) != 0;
    }
}
