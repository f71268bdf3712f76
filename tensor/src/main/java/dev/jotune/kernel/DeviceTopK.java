package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.TopKKernel;
import java.util.List;
import java.util.TreeMap;

/** The largest elements on a device: {@code top_k.cl}. */
final class DeviceTopK implements TopKKernel {
    private static final int GROUP = 256;
    static final KernelSource SOURCE = KernelSource.of(DeviceTopK.class, "top_k", List.of(Param.in("x", DType.F32), Param.out("values", DType.F32),
            Param.out("places", DType.I64), Param.int64("rows"), Param.int32("n"), Param.int32("k")), new TreeMap<>(), GROUP);

    private final DeviceBackend device;

    DeviceTopK(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void topK(Tensor x, Tensor values, Tensor places) {
        if (values.numel() > 0) {
            long rows = values.numel() / values.size(-1);
            device.launch(SOURCE, device.groupsOf(rows), x, values, places, rows, Math.toIntExact(x.size(-1)), Math.toIntExact(values.size(-1)));
        }
    }
}
