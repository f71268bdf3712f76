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
 * @param outputs bit i: output i is read
 * @param declared false: nothing is known, everything is kept as it is
 * @param again computes the last output anew, for operations that cost less than that output's memory: from the inputs, or
 *     where other outputs are read from these
 */
public record Reads(long inputs, long outputs, boolean declared, Optional<Supplier<Tensor>> again) {
    private static final long EVERY = -1;

    /** Nothing is known of it. */
    static final Reads UNKNOWN = new Reads(EVERY, EVERY, false, Optional.empty());
    /** Only gradients. */
    public static final Reads NOTHING = new Reads(0, 0, true, Optional.empty());
    /** All inputs and all outputs. */
    public static final Reads EVERYTHING = new Reads(EVERY, EVERY, true, Optional.empty());

    /** These inputs. */
    public static Reads inputs(int... which) {
        long mask = 0;
        for (int i : which) {
            mask |= 1L << i;
        }
        return new Reads(mask, 0, true, Optional.empty());
    }

    static Reads mask(long inputs) {
        return new Reads(inputs, 0, true, Optional.empty());
    }

    /** The same and the first output. */
    public Reads andFirstOutput() {
        return new Reads(inputs, 1, declared, again);
    }

    /** The same, of an operation whose last output {@code compute} makes again. */
    public Reads again(Supplier<Tensor> compute) {
        return new Reads(inputs, outputs, declared, Optional.of(compute));
    }

    boolean input(int i) {
        return has(inputs, i);
    }

    boolean output(int i) {
        return has(outputs, i);
    }

    private static boolean has(long mask, int i) {
        return mask == EVERY || i < Long.SIZE && (mask >> i & 1) != 0;
    }
}
