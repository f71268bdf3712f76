package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.autograd.ops.QuantizedLinear;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.QuantizedMatrix;

/** A weight as a model holds it: as numbers, or in a quantised form that is read where it lies. */
public sealed interface StoredWeight {
    long[] shape();

    Backend backend();

    /** As numbers; a quantised weight is widened to F32 anew, for who needs all of it. */
    Var dense();

    /**
     * {@code x W^T} for {@code x [.., in]}; W is this, or this transposed where it is stored {@code [in, out]}. A
     * quantised weight is read in F32 whatever the precision.
     */
    Var product(Var x, boolean transposed, Precision precision);

    /** The cross-entropy of {@code hidden W^T [M, V]} under labels {@code [M]}; see {@link LinearCrossEntropy}. */
    Var crossEntropy(Var hidden, boolean transposed, Tensor labels, CrossEntropy.Options options, Precision precision);

    /** Rows by index, {@code ids [..] -> [.., C]}. */
    Var lookup(Tensor ids, DType type);

    /** Any floating type. */
    record Dense(Var value) implements StoredWeight {
        @Override
        public long[] shape() {
            return value.shape();
        }

        @Override
        public Backend backend() {
            return value.backend();
        }

        @Override
        public Var dense() {
            return value;
        }

        @Override
        public Var product(Var x, boolean transposed, Precision precision) {
            return Linear.apply(x, oriented(transposed), precision);
        }

        @Override
        public Var crossEntropy(Var hidden, boolean transposed, Tensor labels, CrossEntropy.Options options, Precision precision) {
            return LinearCrossEntropy.apply(hidden, oriented(transposed), labels, options, precision);
        }

        private Var oriented(boolean transposed) {
            return transposed ? value.transpose(0, 1) : value;
        }

        @Override
        public Var lookup(Tensor ids, DType type) {
            return Embedding.lookup(value, ids).to(type);
        }
    }

    /**
     * A frozen matrix in fewer bits.
     *
     * @param transposed whether the weight is {@code matrix^T}: blocks lie along the inputs of a product, also where the
     *                   checkpoint's own layout has these first
     * @param backend where it is used
     */
    record Quantized(QuantizedMatrix matrix, boolean transposed, Backend backend) implements StoredWeight {
        @Override
        public long[] shape() {
            return transposed ? new long[] {matrix.columns(), matrix.rows()} : new long[] {matrix.rows(), matrix.columns()};
        }

        @Override
        public Var dense() {
            Var w = Var.constant(Dequantize.all(matrix, backend, DType.F32));
            return transposed ? w.transpose(0, 1) : w;
        }

        @Override
        public Var product(Var x, boolean asTransposed, Precision precision) {
            return asTransposed == transposed ? QuantizedLinear.apply(x, matrix) : new Dense(dense()).product(x, asTransposed, precision);
        }

        @Override
        public Var crossEntropy(Var hidden, boolean asTransposed, Tensor labels, CrossEntropy.Options options, Precision precision) {
            return asTransposed == transposed ? LinearCrossEntropy.apply(hidden, matrix, labels, options)
                    : new Dense(dense()).crossEntropy(hidden, asTransposed, labels, options, precision);
        }

        @Override
        public Var lookup(Tensor ids, DType type) {
            return transposed ? new Dense(dense()).lookup(ids, type) : QuantizedLinear.lookup(matrix, ids, backend, type);
        }
    }
}
