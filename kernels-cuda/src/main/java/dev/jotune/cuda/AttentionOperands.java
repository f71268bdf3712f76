package dev.jotune.cuda;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.AttentionKernel.Problem;
import dev.jotune.tensor.kernels.AttentionKernel.Segment;
import java.util.ArrayList;
import java.util.List;

/**
 * The operands of attention as the kernels on tensor cores want them: of one 16-bit type, features neighbours, rows beginning at
 * multiples of 16 bytes. What lies otherwise is copied, its rows filled up with zeros, which change no product.
 */
final class AttentionOperands implements AutoCloseable {
    /** Numbers of 16 bits in 16 bytes. */
    private static final int CHUNK = 8;
    private static final double LOG2E = 1 / Math.log(2);

    private final Backend device;
    private final Problem problem;
    private final DType type;
    private final List<Tensor> copies = new ArrayList<>();
    private final Tensor query;
    private final List<Part> parts = new ArrayList<>();
    private final long width;
    private final long valueWidth;

    /** A segment's operands. */
    record Part(Tensor key, Tensor value, Mask mask) {
        long keys() {
            return key.size(2);
        }

        boolean isShared() {
            return key.size(0) == 1;
        }
    }

    AttentionOperands(Backend device, Problem problem) {
        this.device = device;
        this.problem = problem;
        type = isNarrow(problem.query()) ? problem.query().dtype() : DType.BF16;
        width = filled(problem.query().size(3));
        valueWidth = filled(problem.segments().getFirst().value().size(3));
        query = operand(problem.query());
        for (Segment s : problem.segments()) {
            parts.add(new Part(operand(s.key()), operand(s.value()), s.mask()));
        }
    }

    static boolean isNarrow(Tensor t) {
        return t.dtype() == DType.BF16 || t.dtype() == DType.F16;
    }

    static long filled(long features) {
        return (features + CHUNK - 1) / CHUNK * CHUNK;
    }

    /** This tensor, or a copy that is freed with the rest. */
    Tensor operand(Tensor t) {
        boolean fits = t.dtype() == type && t.offset() % CHUNK == 0 && t.size(3) % CHUNK == 0 && (t.stride(3) == 1 || t.size(3) == 1);
        for (int axis = 0; axis < 3; axis++) {
            fits &= t.size(axis) == 1 || t.stride(axis) % CHUNK == 0;
        }
        return fits ? t : temporary(filledCopy(t));
    }

    private Tensor filledCopy(Tensor t) {
        long wide = filled(t.size(3));
        long[] shape = {t.size(0), t.size(1), t.size(2), wide};
        Tensor copy = wide == t.size(3) ? Tensor.empty(device, type, shape) : Tensor.zeros(device, type, shape);
        device.copy(t, copy.slice(3, 0, t.size(3)));
        return copy;
    }

    /** Whether it can be copied in boxes: strides of all axes, one of size 1 included, of a multiple of 16 bytes, and nothing repeated. */
    static boolean isBoxed(Tensor t) {
        boolean boxed = t.stride(3) == 1;
        for (int axis = 0; axis < 3; axis++) {
            boxed &= t.stride(axis) > 0 && t.stride(axis) % CHUNK == 0;
        }
        return boxed;
    }

    /** Where the kernels write a result {@code [.., .., .., D]}: the tensor itself or one of wider rows. */
    Tensor result(Tensor t) {
        boolean fits = (t.dtype() == DType.F32 || t.dtype() == type) && t.size(3) % CHUNK == 0 && t.stride(3) == 1 && t.offset() % 2 == 0;
        for (int axis = 0; axis < 3; axis++) {
            fits &= t.size(axis) == 1 || t.stride(axis) % 2 == 0;
        }
        return fits ? t : temporary(Tensor.empty(device, DType.F32, t.size(0), t.size(1), t.size(2), filled(t.size(3))));
    }

    /** Moves what was written elsewhere to where it belongs. */
    void deliver(Tensor result, Tensor to) {
        if (result != to) {
            device.copy(result.slice(3, 0, to.size(3)), to);
        }
    }

    Tensor temporary(Tensor t) {
        copies.add(t);
        return t;
    }

    /** Of all operands. */
    DType type() {
        return type;
    }

    Tensor query() {
        return query;
    }

    List<Part> parts() {
        return parts;
    }

    long width() {
        return width;
    }

    long valueWidth() {
        return valueWidth;
    }

    long batch() {
        return query.size(0);
    }

    long heads() {
        return query.size(1);
    }

    long times() {
        return query.size(2);
    }

    long groups() {
        return parts.getFirst().key.size(1);
    }

    boolean isCapped() {
        return problem.softcap() > 0;
    }

    /** The kernels' {@code P = 2^(fold x - lse log2(e))}, of x = q k or, with a cap, of x = tanh(squash q k). */
    double fold() {
        return (isCapped() ? problem.softcap() : problem.scale()) * LOG2E;
    }

    double squash() {
        return isCapped() ? problem.scale() / problem.softcap() : 0;
    }

    double scale() {
        return problem.scale();
    }

    /** Query t sees key s if {@code s <= t + ahead}, cut to what can matter, so that sums with positions are 32-bit numbers. */
    long ahead(Part part) {
        Mask mask = part.mask;
        return mask.causal() ? Math.clamp(mask.offset(), -times(), part.keys()) : part.keys();
    }

    /** Query t sees key s if {@code s > t + behind}. */
    long behind(Part part) {
        Mask mask = part.mask;
        return mask.window() > 0 ? Math.clamp(mask.offset() - mask.window(), -times() - 1, part.keys()) : -times() - 1;
    }

    /** Strides in elements of the three axes before the last; 0 where one element serves for all. */
    static void strides(List<Object> arguments, Tensor t) {
        for (int axis = t.rank() - 4; axis < t.rank() - 1; axis++) {
            arguments.add(t.size(axis) == 1 ? 0L : t.stride(axis));
        }
    }

    @Override
    public void close() {
        copies.forEach(t -> t.storage().free());
    }
}
