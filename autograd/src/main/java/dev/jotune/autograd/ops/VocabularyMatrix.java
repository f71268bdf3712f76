package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.ref.Reference;

/** The matrix W {@code [V, C]} of {@link LinearCrossEntropy}: a value of the tape, or frozen: quantised, or in its kernel's order. */
sealed interface VocabularyMatrix {
    static VocabularyMatrix of(Var weight) {
        return new Dense(weight);
    }

    static VocabularyMatrix of(QuantizedMatrix weight) {
        return new Packed(weight);
    }

    static VocabularyMatrix of(FrozenMatrix weight) {
        return new Frozen(weight);
    }

    long classes();

    boolean isF64();

    boolean requiresGrad();

    /** What a recorded operation depends on. */
    Var[] inputs(Var hidden);

    /** The same matrix as {@link #inputs} named it. */
    VocabularyMatrix with(Var[] inputs);

    /** {@code hidden W^T}, recorded. */
    Var product(Var hidden);

    /** {@code out = x W^T}. */
    void logits(Tensor x, Tensor out);

    /** {@code out = d W}. */
    void back(Tensor d, Tensor out);

    /** As large as it is. */
    record Dense(Var weight) implements VocabularyMatrix {
        @Override
        public long classes() {
            return weight.size(0);
        }

        @Override
        public boolean isF64() {
            return weight.dtype() == DType.F64;
        }

        @Override
        public boolean requiresGrad() {
            return weight.requiresGrad();
        }

        @Override
        public Var[] inputs(Var hidden) {
            return new Var[] {hidden, weight};
        }

        @Override
        public VocabularyMatrix with(Var[] inputs) {
            return new Dense(inputs[1]);
        }

        @Override
        public Var product(Var hidden) {
            return Linear.apply(hidden, weight);
        }

        @Override
        public void logits(Tensor x, Tensor out) {
            out.backend().matmul(x, weight.tensor().transpose(0, 1), out, false);
        }

        @Override
        public void back(Tensor d, Tensor out) {
            out.backend().matmul(d, weight.tensor(), out, false);
        }
    }

    /** In fewer bits. */
    record Packed(QuantizedMatrix weight) implements VocabularyMatrix {
        @Override
        public long classes() {
            return weight.rows();
        }

        @Override
        public boolean isF64() {
            return false;
        }

        @Override
        public boolean requiresGrad() {
            return false;
        }

        @Override
        public Var[] inputs(Var hidden) {
            return new Var[] {hidden};
        }

        @Override
        public VocabularyMatrix with(Var[] inputs) {
            return this;
        }

        @Override
        public Var product(Var hidden) {
            return QuantizedLinear.apply(hidden, weight);
        }

        @Override
        public void logits(Tensor x, Tensor out) {
            QuantizedLinear.product(x, weight, out);
        }

        @Override
        public void back(Tensor d, Tensor out) {
            QuantizedLinear.productBack(d, weight, out);
        }
    }

    /** In the order that its kernel reads. */
    record Frozen(FrozenMatrix weight) implements VocabularyMatrix {
        @Override
        public long classes() {
            return weight.out();
        }

        @Override
        public boolean isF64() {
            return false;
        }

        @Override
        public boolean requiresGrad() {
            return false;
        }

        @Override
        public Var[] inputs(Var hidden) {
            return new Var[] {hidden};
        }

        @Override
        public VocabularyMatrix with(Var[] inputs) {
            return this;
        }

        @Override
        public Var product(Var hidden) {
            return FrozenLinear.apply(hidden, weight);
        }

        @Override
        public void logits(Tensor x, Tensor out) {
            weight.kernel().product(weight.packed(), x.contiguous(), out, Precision.F32, FrozenKernel.Joined.NONE);
            Reference.reachabilityFence(weight);
        }

        @Override
        public void back(Tensor d, Tensor out) {
            weight.kernel().productBack(weight.packed(), d, out, Precision.F32, FrozenKernel.Joined.NONE);
            Reference.reachabilityFence(weight);
        }
    }
}
