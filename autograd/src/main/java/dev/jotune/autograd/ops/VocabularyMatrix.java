package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.kernels.VocabularyKernel;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.ref.Reference;
import java.util.Optional;

/** The matrix W {@code [V, C]} of {@link LinearCrossEntropy}: a value of the tape, or frozen: quantised, or in its kernel's order. */
sealed interface VocabularyMatrix {
    static VocabularyMatrix of(Var weight, Precision precision) {
        return new Dense(weight, precision);
    }

    static VocabularyMatrix of(QuantizedMatrix weight) {
        return new Packed(weight);
    }

    static VocabularyMatrix of(FrozenMatrix weight, Precision precision) {
        return new Frozen(weight, precision);
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

    /** The same for many chunks: what all of them need is done once, into memory of the current scope. */
    default VocabularyMatrix prepared() {
        return this;
    }

    /** {@code out = x W^T}. */
    void logits(Tensor x, Tensor out);

    /**
     * Fills {@code rows [M, 1]} with the losses of rows that all count, without storing logits.
     *
     * @return false: nothing was done, there is no kernel for it
     */
    default boolean losses(Tensor x, long[] labels, double softcap, Tensor rows) {
        return false;
    }

    /** {@code out = d W}. */
    void back(Tensor d, Tensor out);

    /** {@code out += d^T x}. */
    default void gradient(Tensor d, Tensor x, Tensor out) {
        out.backend().matmul(d.transpose(0, 1), x, out, true);
    }

    /** As large as it is. */
    record Dense(Var weight, Precision precision) implements VocabularyMatrix {
        private static final Program LOSS = Program.of(Expr.input(0).minus(Expr.input(1)));

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
            return new Dense(inputs[1], precision);
        }

        @Override
        public Var product(Var hidden) {
            return Linear.apply(hidden, weight, precision);
        }

        @Override
        public VocabularyMatrix prepared() {
            return precision == Precision.F32 ? this : new Dense(Var.constant(weight.tensor().to(DType.BF16)), precision);
        }

        @Override
        public void logits(Tensor x, Tensor out) {
            product(x, weight.tensor().transpose(0, 1), out, false);
        }

        @Override
        public boolean losses(Tensor x, long[] labels, double softcap, Tensor rows) {
            Tensor read = read(x);
            Optional<VocabularyKernel> kernel = x.backend().kernel(VocabularyKernel.class).filter(k -> k.supports(read, weight.tensor()));
            kernel.ifPresent(k -> {
                Tensor lse = Tensor.empty(x.backend(), DType.F32, labels.length);
                Tensor target = Tensor.empty(x.backend(), DType.F32, labels.length);
                k.losses(read, weight.tensor(), Tensor.of(x.backend(), labels, labels.length), softcap, lse, target);
                x.backend().map(LOSS, new Tensor[] {lse.unsqueeze(1), target.unsqueeze(1)}, new Tensor[] {rows});
            });
            return kernel.isPresent();
        }

        @Override
        public void back(Tensor d, Tensor out) {
            product(d, weight.tensor(), out, false);
        }

        @Override
        public void gradient(Tensor d, Tensor x, Tensor out) {
            product(d.transpose(0, 1), x, out, true);
        }

        private void product(Tensor a, Tensor b, Tensor out, boolean add) {
            try (Scope scope = Scope.open()) {
                out.backend().matmul(read(a), read(b), out, add);
            }
        }

        private Tensor read(Tensor t) {
            return precision == Precision.BF16 ? t.to(DType.BF16) : t;
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
    record Frozen(FrozenMatrix weight, Precision precision) implements VocabularyMatrix {
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
            return FrozenLinear.apply(hidden, weight, Terms.NONE, precision);
        }

        @Override
        public boolean losses(Tensor x, long[] labels, double softcap, Tensor rows) {
            return weight.packed().stored().map(w -> new Dense(Var.constant(w), precision).prepared().losses(x, labels, softcap, rows)).orElse(false);
        }

        @Override
        public void logits(Tensor x, Tensor out) {
            weight.kernel().product(weight.packed(), x.contiguous(), out, precision, FrozenKernel.Joined.NONE);
            Reference.reachabilityFence(weight);
        }

        @Override
        public void back(Tensor d, Tensor out) {
            weight.kernel().productBack(weight.packed(), d, out, precision, FrozenKernel.Joined.NONE);
            Reference.reachabilityFence(weight);
        }
    }
}
