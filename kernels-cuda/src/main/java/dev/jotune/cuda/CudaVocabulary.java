package dev.jotune.cuda;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.cuda.TensorMaps.Swizzle;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.VocabularyKernel;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Losses of a vocabulary in BF16 on tensor cores of compute capability 9.0, {@code linear_cross_entropy.cu}; others as every device does it. */
final class CudaVocabulary implements VocabularyKernel {
    private static final int ROWS = 128;
    private static final int COLUMNS = 256;
    private static final int STAGES = 4;
    private static final int GROUP = 384;
    private static final int END_GROUP = 256;
    /** As in the text: tiles of rows whose groups run together. */
    private static final int BAND = 32;
    private static final int EIGHT = 8;
    private static final int HOPPER = 90;
    private static final long MOST = 1 << 30;

    static final CudaSource PARTS = parts(0);
    static final CudaSource CAPPED_PARTS = parts(1);
    static final CudaSource END = CudaSource.of("linear_cross_entropy_end", List.of(Param.in("most", DType.F32), Param.in("total", DType.F32),
            Param.out("lse", DType.F32), Param.int32("rows"), Param.int32("splits")), Map.of(), END_GROUP, 0, Chip.SM80);

    private final CudaBackend device;
    private final VocabularyKernel portable;

    CudaVocabulary(CudaBackend device, VocabularyKernel portable) {
        this.device = device;
        this.portable = portable;
    }

    /** Maps of {@code hidden [1, M, C]} and {@code W [1, V, C]}; labels; for each part of the vocabulary {@code most [M]}, {@code total [M]}. */
    private static CudaSource parts(int capped) {
        Map<String, Integer> defines = new TreeMap<>(Map.of("BM", ROWS, "BN", COLUMNS, "STAGES", STAGES, "A_INNER", 1, "B_INNER", 1, "HALF_F16", 0,
                "CLUSTER", 1, "CAPPED", capped, "REGISTERS_FIRST", 1));
        return CudaSource.of("linear_cross_entropy", List.of(Param.tensorMap("a_map"), Param.tensorMap("b_map"),
                Param.in("labels", DType.I64), Param.out("most", DType.F32), Param.out("total", DType.F32), Param.out("picked", DType.F32),
                Param.int32("rows"), Param.int32("columns"), Param.int32("inner"), Param.int32("splits"), Param.real("softcap")), defines, GROUP,
                STAGES * (ROWS + COLUMNS) * GemmSources.BOX * Short.BYTES + 2 * STAGES * Long.BYTES, Chip.SM90A);
    }

    @Override
    public boolean supports(Tensor hidden, Tensor weight) {
        return own(hidden, weight) || portable.supports(hidden, weight);
    }

    private boolean own(Tensor hidden, Tensor weight) {
        return device.chip() == HOPPER && hidden.backend() == device && weight.backend() == device && mapped(hidden) && mapped(weight);
    }

    private static boolean mapped(Tensor t) {
        return t.dtype() == DType.BF16 && t.numel() > 0 && t.stride(1) == 1 && t.stride(0) % EIGHT == 0 && t.offset() % EIGHT == 0
                && Math.max(t.size(0), t.size(1)) <= MOST;
    }

    @Override
    public void losses(Tensor hidden, Tensor weight, Tensor labels, double softcap, Tensor lse, Tensor target) {
        if (!own(hidden, weight)) {
            portable.losses(hidden, weight, labels, softcap, lse, target);
            return;
        }
        long rows = hidden.size(0);
        long tiles = (rows + ROWS - 1) / ROWS;
        long columnTiles = (weight.size(0) + COLUMNS - 1) / COLUMNS;
        long splits = Math.clamp(device.units() / Math.min(tiles, BAND), 1, columnTiles);
        try (Scope _ = Scope.open()) {
            Tensor most = Tensor.empty(device, DType.F32, splits, rows);
            Tensor total = Tensor.empty(device, DType.F32, splits, rows);
            device.launch(softcap > 0 ? CAPPED_PARTS : PARTS, Math.min(tiles * splits, device.units()), 1, 1, map(hidden, ROWS), map(weight, COLUMNS),
                    labels, most, total, target, rows, weight.size(0), weight.size(1), splits, softcap);
            device.launch(END, (rows + END_GROUP - 1) / END_GROUP, 1, 1, most, total, lse, rows, splits);
        }
    }

    private static TensorMaps.Map map(Tensor t, int lines) {
        return TensorMaps.of(CudaProducts.alone(t), new int[] {1, lines, GemmSources.BOX}, Swizzle.BYTES_128);
    }
}
