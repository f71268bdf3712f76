package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.util.List;

/**
 * Each weight belongs to the first kernel that supports it: machine code takes what it is made for, the Vector API the
 * rest.
 */
record FrozenChoice(List<FrozenKernel> kernels) implements FrozenKernel {
    private record Owned(FrozenKernel kernel, Packed packed) implements Packed {
        @Override
        public long rows() {
            return packed.rows();
        }

        @Override
        public long columns() {
            return packed.columns();
        }

        @Override
        public long byteSize() {
            return packed.byteSize();
        }

        @Override
        public void unpack(Tensor out) {
            packed.unpack(out);
        }

        @Override
        public void unpackRows(long[] ids, Tensor out) {
            packed.unpackRows(ids, out);
        }
    }

    @Override
    public boolean supports(Tensor weight) {
        return kernels.stream().anyMatch(k -> k.supports(weight));
    }

    @Override
    public Packed pack(Tensor weight) {
        FrozenKernel kernel = kernels.stream().filter(k -> k.supports(weight)).findFirst().orElseThrow(() ->
                new IllegalArgumentException("No kernel packs a weight " + weight + ". Ask supports first."));
        return new Owned(kernel, kernel.pack(weight));
    }

    @Override
    public void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined) {
        Owned owned = owned(weight);
        owned.kernel.product(owned.packed, x, y, precision, joined);
    }

    @Override
    public void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined) {
        Owned owned = owned(weight);
        owned.kernel.productBack(owned.packed, dy, dx, precision, joined);
    }

    @Override
    public boolean tryProduct(Packed weight, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined) {
        Owned owned = owned(weight);
        return owned.kernel.tryProduct(owned.packed, x, y, precision, term, joined);
    }

    @Override
    public boolean tryProductBack(Packed weight, Tensor dy, Tensor dx, Precision precision, LowRank term, Joined joined) {
        Owned owned = owned(weight);
        return owned.kernel.tryProductBack(owned.packed, dy, dx, precision, term, joined);
    }

    private static Owned owned(Packed weight) {
        if (weight instanceof Owned owned) {
            return owned;
        }
        throw new IllegalArgumentException("The weight was packed by another kernel, as " + weight.getClass().getSimpleName()
                + ". Pack it with this one.");
    }
}
