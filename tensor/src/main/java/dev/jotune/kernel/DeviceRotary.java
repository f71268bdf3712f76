package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.RotaryKernel;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Rotary embedding on a device: {@code rotary.cl}. */
final class DeviceRotary implements RotaryKernel {
    private static final int GROUP_BITS = 8;
    static final KernelSource HALVES = source(false);
    static final KernelSource INTERLEAVED = source(true);

    private final DeviceBackend device;

    DeviceRotary(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse, Tensor out) {
        if (x.numel() == 0) {
            return;
        }
        long size = x.size(3);
        long pairs = cos.size(2);
        int positions = Math.toIntExact(x.numel() / size);
        int laneBits = Math.min(GROUP_BITS, Long.SIZE - Long.numberOfLeadingZeros(size - pairs - 1));
        KernelSource kernel = interleaved ? INTERLEAVED : HALVES;
        device.launch(kernel, device.groups((long) positions << laneBits, kernel), x, cos.contiguous(), sin.contiguous(), out, positions, x.size(1),
                x.size(2), size, pairs, laneBits, inverse ? -1 : 1, cos.size(0) == 1 ? 0 : cos.size(1) * pairs, x.stride(0), x.stride(1),
                x.stride(2), x.stride(3), out.stride(0), out.stride(1), out.stride(2), out.stride(3));
    }

    private static KernelSource source(boolean interleaved) {
        List<Param> params = List.of(Param.in("x", DType.F32), Param.in("cosines", DType.F32), Param.in("sines", DType.F32),
                Param.out("y", DType.F32), Param.int32("positions"), Param.int32("heads"), Param.int32("time"), Param.int32("size"),
                Param.int32("pairs"), Param.int32("lane_bits"), Param.real("direction"), Param.int64("table_batch"), Param.int64("x_batch"),
                Param.int64("x_head"), Param.int64("x_time"), Param.int64("x_feature"), Param.int64("y_batch"), Param.int64("y_head"),
                Param.int64("y_time"), Param.int64("y_feature"));
        return KernelSource.of(DeviceRotary.class, "rotary", params, new TreeMap<>(Map.of("INTERLEAVED", interleaved ? 1 : 0)), 1 << GROUP_BITS);
    }
}
