package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AdamWKernel;
import java.util.List;
import java.util.TreeMap;

/** AdamW on a device: {@code adamw.cl}. */
final class DeviceAdamW implements AdamWKernel {
    private static final int GROUP = 256;
    static final KernelSource SOURCE = KernelSource.of(DeviceAdamW.class, "adamw", List.of(Param.out("parameter", DType.F32),
            Param.in("gradient", DType.F32), Param.out("first", DType.F32), Param.out("second", DType.F32), Param.int64("n"), Param.real("keep"),
            Param.real("rate"), Param.real("root"), Param.real("beta1"), Param.real("rest1"), Param.real("beta2"), Param.real("rest2"),
            Param.real("eps")), new TreeMap<>(), GROUP);

    private final DeviceBackend device;

    DeviceAdamW(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, double lr, double beta1, double beta2, double eps,
            double weightDecay, long step) {
        if (parameter.numel() == 0) {
            return;
        }
        // What can be known before is computed here, in doubles; 1 - beta2 of a rounded beta2 would be off in the fourth digit.
        device.launch(SOURCE, device.groups(parameter.numel(), SOURCE), parameter, gradient, m, v, parameter.numel(), 1 - lr * weightDecay,
                lr / (1 - Math.pow(beta1, step)), 1 / Math.sqrt(1 - Math.pow(beta2, step)), beta1, 1 - beta1, beta2, 1 - beta2, eps);
    }
}
