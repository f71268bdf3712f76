package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.autograd.ops.FrozenLinear;
import dev.jotune.autograd.ops.FrozenMatrix;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.autograd.ops.QuantizedLinear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.Optional;

/**
 * A weight as a model holds it: as numbers, in the order of a product's kernel, or in a quantised form that is read
 * where it lies.
 */
public sealed interface StoredWeight {
    long[] shape();

    Backend backend();

    /** The type of {@link #dense}. */
    DType type();

    /** As numbers; a quantised weight is widened to F32 anew and a packed one unpacked, for who needs all of it. */
    Var dense();

    /**
     * {@code x W^T} for {@code x [.., in]}; W is this, or this transposed where it is stored {@code [in, out]}. A
     * quantised weight is read in F32 whatever the precision.
     */
    Var product(Var x, boolean transposed, Precision precision);

    /** {@link #product(Var, boolean, Precision)} and the terms that join it. */
    default Var product(Var x, boolean transposed, Terms terms, Precision precision) {
        return terms.addTo(product(x, transposed, precision));
    }

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
        public DType type() {
            return value.dtype();
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
     * A frozen matrix in the order that its backend's kernel reads, the only copy that is kept.
     *
     * @param transposed whether the weight is {@code matrix^T}, as GPT-2's Conv1D
     */
    record Packed(FrozenMatrix matrix, boolean transposed) implements StoredWeight {
        /** The packed form of {@code dense} as the W of a product; empty where there is none, or it may be trained. */
        static Optional<StoredWeight> of(Dense dense, boolean transposed) {
            if (dense.value().requiresGrad() || dense.value().rank() != 2) {
                return Optional.empty();
            }
            Tensor w = dense.value().tensor();
            Optional<StoredWeight> packed = FrozenMatrix.of(transposed ? w.transpose(0, 1) : w).map(m -> new Packed(m, transposed));
            packed.ifPresent(p -> HostMemory.forget(w));
            return packed;
        }

        @Override
        public long[] shape() {
            return transposed ? new long[] {matrix.in(), matrix.out()} : new long[] {matrix.out(), matrix.in()};
        }

        @Override
        public Backend backend() {
            return matrix.backend();
        }

        @Override
        public DType type() {
            return matrix.type();
        }

        @Override
        public Var dense() {
            Tensor w = matrix.dense();
            return Var.constant(transposed ? w.transpose(0, 1).contiguous() : w);
        }

        @Override
        public Var product(Var x, boolean asTransposed, Precision precision) {
            return product(x, asTransposed, Terms.NONE, precision);
        }

        @Override
        public Var product(Var x, boolean asTransposed, Terms terms, Precision precision) {
            return asTransposed == transposed ? FrozenLinear.apply(x, matrix, terms, precision)
                    : new Dense(dense()).product(x, asTransposed, terms, precision);
        }

        @Override
        public Var crossEntropy(Var hidden, boolean asTransposed, Tensor labels, CrossEntropy.Options options, Precision precision) {
            return asTransposed == transposed && hidden.dtype() == DType.F32
                    ? LinearCrossEntropy.apply(hidden, matrix, labels, options, precision)
                    : new Dense(dense()).crossEntropy(hidden, asTransposed, labels, options, precision);
        }

        @Override
        public Var lookup(Tensor ids, DType type) {
            return transposed ? new Dense(dense()).lookup(ids, type) : Var.constant(matrix.rows(ids)).to(type);
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
        public DType type() {
            return DType.F32;
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
