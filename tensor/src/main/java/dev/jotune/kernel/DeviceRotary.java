package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.RotaryKernel;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/** Rotary embedding on a device: {@code rotary.cl}. */
final class DeviceRotary implements RotaryKernel {
    private static final int GROUP = 256;

    /** What the text is specialised by. */
    private record Key(int size, int half, boolean interleaved) {}

    private static final Map<Key, KernelSource> KNOWN = new ConcurrentHashMap<>();

    private final DeviceBackend device;

    DeviceRotary(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse, Tensor out) {
        if (x.numel() == 0) {
            return;
        }
        int size = Math.toIntExact(x.size(3));
        int half = Math.toIntExact(cos.size(2));
        int positions = Math.toIntExact(x.numel() / size);
        KernelSource kernel = source(size, half, interleaved);
        device.launch(kernel, device.groups((long) positions * (size - half), kernel), x, cos.contiguous(), sin.contiguous(), out, positions,
                x.size(1), x.size(2), cos.size(0) == 1 ? 0 : cos.size(1) * half, inverse ? -1 : 1, x.stride(0), x.stride(1), x.stride(2),
                x.stride(3), out.stride(0), out.stride(1), out.stride(2), out.stride(3));
    }

    static KernelSource source(int size, int half, boolean interleaved) {
        return KNOWN.computeIfAbsent(new Key(size, half, interleaved), k -> {
            List<Param> params = List.of(Param.in("x", DType.F32), Param.in("cosines", DType.F32), Param.in("sines", DType.F32),
                    Param.out("y", DType.F32), Param.int32("positions"), Param.int32("heads"), Param.int32("time"), Param.int64("table_batch"),
                    Param.real("direction"), Param.int64("x_batch"), Param.int64("x_head"), Param.int64("x_time"), Param.int64("x_feature"),
                    Param.int64("y_batch"), Param.int64("y_head"), Param.int64("y_time"), Param.int64("y_feature"));
            return KernelSource.of(DeviceRotary.class, "rotary", params,
                    new TreeMap<>(Map.of("D", k.size, "HALF", k.half, "INTERLEAVED", k.interleaved ? 1 : 0)), GROUP);
        });
    }
}
