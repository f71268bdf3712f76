package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import java.util.Arrays;

/** Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997), with a forget gate, as torch has it. */
public final class Lstm {
    private Lstm() {}

    /**
     * The weights of one layer in one direction; their rows are those of the gates i, f, g and o, one after the other.
     *
     * @param input {@code [4 H, in]}
     * @param hidden {@code [4 H, H]}
     * @param inputBias {@code [4 H]}
     * @param hiddenBias {@code [4 H]}
     */
    public record Cell(Var input, Var hidden, Var inputBias, Var hiddenBias) {}

    /**
     * {@code (i, f, g, o) = W x_t + b + U h_{t-1} + d}, {@code c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)},
     * {@code h_t = sigmoid(o) tanh(c_t)}, from states of 0.
     *
     * @param x {@code [B, T, in]}
     * @param backward from the last t to the first
     * @return all h, {@code [B, T, H]}
     * @throws IllegalArgumentException if the shapes do not fit
     */
    public static Var apply(Var x, Cell w, boolean backward) {
        long size = w.hidden.size(1);
        if (x.rank() != 3 || w.input.size(1) != x.size(2) || w.input.size(0) != 4 * size || w.hidden.size(0) != 4 * size) {
            throw new IllegalArgumentException("an LSTM of weights " + Arrays.toString(w.input.shape()) + " and "
                    + Arrays.toString(w.hidden.shape()) + " does not fit an input " + Arrays.toString(x.shape())
                    + ". It needs [4 H, in], [4 H, H] and [B, T, in].");
        }
        int time = Math.toIntExact(x.size(1));
        Var gates = Linear.apply(x, w.input, w.inputBias.add(w.hiddenBias));
        Var[] out = new Var[time];
        Var h = null;
        Var c = null;
        for (int n = 0; n < time; n++) {
            int t = backward ? time - 1 - n : n;
            Var all = gates.select(1, t);
            all = h == null ? all : all.add(Linear.apply(h, w.hidden));
            Var added = Activations.sigmoid(gate(all, 0, size)).mul(Activations.tanh(gate(all, 2, size)));
            c = c == null ? added : Activations.sigmoid(gate(all, 1, size)).mul(c).add(added);
            h = Activations.sigmoid(gate(all, 3, size)).mul(Activations.tanh(c));
            out[t] = h.reshape(x.size(0), 1, size);
        }
        return Var.concat(1, out);
    }

    /** Both directions side by side, {@code [B, T, in] -> [B, T, 2 H]}. */
    public static Var bidirectional(Var x, Cell forward, Cell backward) {
        return Var.concat(2, apply(x, forward, false), apply(x, backward, true));
    }

    private static Var gate(Var all, int which, long size) {
        return all.slice(1, which * size, (which + 1) * size);
    }
}
