package dev.jotune.kernel;

import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.TopKKernel;
import dev.jotune.tensor.kernels.VocabularyKernel;
import java.util.Map;
import java.util.Optional;

/** The fused kernels that every device has which compiles the dialect; a backend offers them beside its own. */
public final class DeviceKernels {
    private final Map<Class<? extends FusedKernel>, FusedKernel> all;

    public DeviceKernels(DeviceBackend device) {
        DeviceQuantized quantized = new DeviceQuantized(device);
        all = Map.of(NormKernel.class, new DeviceNorm(device), RotaryKernel.class, new DeviceRotary(device), AdamWKernel.class,
                new DeviceAdamW(device), ScanKernel.class, new DeviceScan(device), TopKKernel.class, new DeviceTopK(device),
                AttentionKernel.class, new DeviceAttention(device), QuantizedProductKernel.class, quantized,
                DequantizeKernel.class, quantized, VocabularyKernel.class, new DeviceVocabulary(device),
                SparseKernel.class, new DeviceSparse(device));
    }

    /** The kernel of this kind, if it is one of these. */
    public <K extends FusedKernel> Optional<K> get(Class<K> kind) {
        return Optional.ofNullable(all.get(kind)).map(kind::cast);
    }
}
