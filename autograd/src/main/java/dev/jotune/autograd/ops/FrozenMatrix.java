package dev.jotune.autograd.ops;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.Optional;

/**
 * A weight W {@code [out, in]} that does not change, in the order that its backend's kernel reads; the numbers are the
 * weight's, exactly.
 *
 * @param type what the weight was stored in
 */
public record FrozenMatrix(FrozenKernel kernel, FrozenKernel.Packed packed, DType type, Backend backend) {
    /** A packed copy of {@code weight [out, in]}, of any strides; empty where its backend has no kernel for it. */
    public static Optional<FrozenMatrix> of(Tensor weight) {
        Backend backend = weight.backend();
        return backend.kernel(FrozenKernel.class).filter(k -> weight.rank() == 2 && k.supports(weight))
                .map(k -> new FrozenMatrix(k, k.pack(weight), weight.dtype(), backend));
    }

    public long out() {
        return packed.rows();
    }

    public long in() {
        return packed.columns();
    }

    /** The weight as it was, {@code [out, in]} in its own type: a copy. */
    public Tensor dense() {
        Tensor w = Tensor.empty(backend, type, out(), in());
        packed.unpack(w);
        Reference.reachabilityFence(packed);
        return w;
    }

    /**
     * Rows by index, {@code ids [..] -> [.., in]} in F32.
     *
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public Tensor rows(Tensor ids) {
        long[] id = ids.toLongArray();
        for (int i = 0; i < id.length; i++) {
            if (id[i] < 0 || id[i] >= out()) {
                throw new IndexOutOfBoundsException("Index " + i + " is row " + id[i] + " of a table of " + out() + " rows");
            }
        }
        long[] shape = Arrays.copyOf(ids.shape(), ids.rank() + 1);
        shape[ids.rank()] = in();
        Tensor out = Tensor.empty(backend, DType.F32, shape);
        packed.unpackRows(id, out.reshape(id.length, in()));
        Reference.reachabilityFence(packed);
        return out;
    }
}
