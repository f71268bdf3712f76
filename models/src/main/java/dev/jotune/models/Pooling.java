package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/** How the states of a text's tokens become one vector; named as sentence-transformers names them. */
public enum Pooling {
    /** The first token's state. */
    CLS,
    /** The mean over tokens, padding apart. */
    MEAN,
    /** The largest value of each feature over tokens, padding apart. */
    MAX,
    /** The sum over tokens divided by the square root of their number. */
    MEAN_SQRT_LEN;

    /**
     * {@code [B, T, C] -> [B, C]}.
     *
     * @param mask {@code [B, T]}, zero at padding; without it all tokens count
     */
    public Var apply(Var states, Optional<Tensor> mask) {
        long rows = states.size(0);
        long time = states.size(1);
        Var counts = Var.constant(mask.map(m -> m.to(states.backend()).to(states.dtype()).contiguous())
                .orElseGet(() -> Tensor.full(states.backend(), states.dtype(), 1, rows, time)).reshape(rows, time, 1));
        return switch (this) {
            case CLS -> states.select(1, 0);
            case MAX -> largest(states, counts.tensor());
            // At least a little, so that a row of padding alone gives 0 and not NaN.
            case MEAN -> states.mul(counts).sum(1).div(total(counts).add(1e-9));
            case MEAN_SQRT_LEN -> states.mul(counts).sum(1).div(total(counts).add(1e-9).sqrt());
        };
    }

    /** {@code [B, 1]}. */
    private static Var total(Var counts) {
        return counts.sum(1);
    }

    /** The largest of each feature, picked by position so that the gradient goes where the value is from. */
    private static Var largest(Var states, Tensor counts) {
        int rows = (int) states.size(0);
        int time = (int) states.size(1);
        int width = (int) states.size(2);
        double[] x = states.tensor().toDoubleArray();
        double[] real = counts.toDoubleArray();
        double[] pick = new double[x.length];
        for (int b = 0; b < rows; b++) {
            for (int c = 0; c < width; c++) {
                int best = -1;
                for (int t = 0; t < time; t++) {
                    int i = (b * time + t) * width + c;
                    if (real[b * time + t] != 0 && (best < 0 || x[i] > x[best])) {
                        best = i;
                    }
                }
                if (best >= 0) {
                    pick[best] = 1;
                }
            }
        }
        DType type = states.dtype() == DType.F64 ? DType.F64 : DType.F32;
        return states.mul(Var.constant(Tensor.of(states.backend(), type, pick, states.shape()))).sum(1);
    }
}
