package dev.jotune.peft.weights;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.RawTensor;
import java.lang.ref.Reference;
import java.util.List;
import java.util.function.DoubleUnaryOperator;

/**
 * A long vector that is computed a run at a time: a tensor as it lies in a file, or what arithmetic makes of others.
 * Nothing of it is held, so formulas over whole checkpoints take the memory of one run for each operand.
 *
 * <p>All arithmetic is in doubles; what is written is rounded once, at the end.
 */
public interface Values {
    /** Elements of a run: 128 KB of doubles, so that the operands of a formula stay in the cache. */
    int RUN = 1 << 14;

    /** Number of elements. */
    long size();

    /**
     * Computes elements {@code from .. from + n} into the first n places of {@code out}.
     *
     * @param n at most {@link #RUN}
     */
    void read(long from, int n, double[] out);

    /** How elements of a run follow from those of the operands at the same places. */
    @FunctionalInterface
    interface Formula {
        /**
         * @param from place of the first element
         * @param in   a run of each operand
         */
        void apply(long from, int n, double[][] in, double[] out);
    }

    /** Sees one run after another. */
    @FunctionalInterface
    interface Visitor {
        /** @param run valid until this returns */
        void visit(long from, int n, double[] run);
    }

    /** A tensor of a file, in its pages. */
    static Values of(RawTensor tensor) {
        return new Values() {
            @Override
            public long size() {
                return tensor.elements();
            }

            @Override
            public void read(long from, int n, double[] out) {
                tensor.read(from, n, out);
            }
        };
    }

    /** A tensor of any backend and strides. */
    static Values of(Tensor tensor) {
        Tensor dense = tensor.contiguous();
        RawTensor bytes = RawTensor.of(dense);
        return new Values() {
            @Override
            public long size() {
                return bytes.elements();
            }

            @Override
            public void read(long from, int n, double[] out) {
                bytes.read(from, n, out);
                // The bytes are the tensor's own and go with it.
                Reference.reachabilityFence(dense);
            }
        };
    }

    /** Numbers at hand. */
    static Values of(double... values) {
        return new Values() {
            @Override
            public long size() {
                return values.length;
            }

            @Override
            public void read(long from, int n, double[] out) {
                System.arraycopy(values, Math.toIntExact(from), out, 0, n);
            }
        };
    }

    /**
     * What a formula makes of vectors of one size.
     *
     * @throws IllegalArgumentException if the sizes differ
     */
    static Values map(List<Values> operands, Formula f) {
        long size = operands.getFirst().size();
        for (Values v : operands) {
            if (v.size() != size) {
                throw new IllegalArgumentException("a vector of " + v.size() + " numbers meets one of " + size
                        + ". Combine weights of one shape.");
            }
        }
        return new Values() {
            @Override
            public long size() {
                return size;
            }

            @Override
            public void read(long from, int n, double[] out) {
                double[][] in = new double[operands.size()][n];
                for (int i = 0; i < in.length; i++) {
                    operands.get(i).read(from, n, in[i]);
                }
                f.apply(from, n, in, out);
            }
        };
    }

    /** Element by element. */
    default Values map(DoubleUnaryOperator f) {
        return map(List.of(this), (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                out[i] = f.applyAsDouble(in[0][i]);
            }
        });
    }

    /** {@code sum of weights[i] vectors[i]}. */
    static Values sum(List<Values> vectors, double... weights) {
        return map(vectors, (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                double sum = 0;
                for (int k = 0; k < in.length; k++) {
                    sum += weights[k] * in[k][i];
                }
                out[i] = sum;
            }
        });
    }

    /** {@code this - other}. */
    default Values minus(Values other) {
        return sum(List.of(this, other), 1, -1);
    }

    /** Vectors one behind the other. */
    static Values concat(List<Values> parts) {
        long[] starts = new long[parts.size() + 1];
        for (int i = 0; i < parts.size(); i++) {
            starts[i + 1] = starts[i] + parts.get(i).size();
        }
        return new Values() {
            @Override
            public long size() {
                return starts[parts.size()];
            }

            @Override
            public void read(long from, int n, double[] out) {
                double[] piece = new double[n];
                int done = 0;
                for (int p = 0; p < parts.size() && done < n; p++) {
                    long at = from + done - starts[p];
                    // Of a part that lies wholly before, this is negative by any amount.
                    long left = starts[p + 1] - starts[p] - at;
                    if (at >= 0 && left > 0) {
                        int count = (int) Math.min(n - done, left);
                        parts.get(p).read(at, count, piece);
                        System.arraycopy(piece, 0, out, done, count);
                        done += count;
                    }
                }
            }
        };
    }

    /** Elements {@code first .. first + length}. */
    default Values slice(long first, long length) {
        Values whole = this;
        return new Values() {
            @Override
            public long size() {
                return length;
            }

            @Override
            public void read(long from, int n, double[] out) {
                whole.read(first + from, n, out);
            }
        };
    }

    /** Shows all elements in order. */
    default void forEachRun(Visitor visitor) {
        double[] run = new double[RUN];
        for (long from = 0; from < size(); from += RUN) {
            int n = (int) Math.min(RUN, size() - from);
            read(from, n, run);
            visitor.visit(from, n, run);
        }
    }

    /** All elements. */
    default double[] toArray() {
        double[] all = new double[Math.toIntExact(size())];
        forEachRun((from, n, run) -> System.arraycopy(run, 0, all, (int) from, n));
        return all;
    }

    /** {@code x . y}. */
    static double dot(Values x, Values y) {
        double[] sum = {0};
        map(List.of(x, y), (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                out[i] = in[0][i] * in[1][i];
            }
        }).forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                sum[0] += run[i];
            }
        });
        return sum[0];
    }
}
