package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.RowCode;
import dev.jotune.tensor.quant.BlockFormat;
import java.lang.invoke.MethodHandle;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/** The kernels for single rows and quantised weights; each emitted when it is first needed. */
final class RowKernels {
    private final CodeInstaller installer;
    private final Map<BlockFormat, Optional<RowCode>> known = new EnumMap<>(BlockFormat.class);
    private MethodHandle digits;

    RowKernels(CodeInstaller installer) {
        this.installer = installer;
    }

    synchronized Optional<RowCode> of(BlockFormat format) {
        return known.computeIfAbsent(format, f -> RowSumsCode.emit(f).map(code -> {
            if (digits == null) {
                digits = installer.install(DigitsCode.emit());
            }
            return new CodedRows(digits, installer.install(code), f.elements());
        }));
    }
}
