package dev.jotune.cuda;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/** The kernels of rows with adapters of their own: {@code grouped_lora.cu}, {@code grouped_lora_runs.cu}, {@code grouped_lora_gradients.cu}. */
final class GroupedSources {
    private static final Map<Record, CudaSource> MADE = new ConcurrentHashMap<>();

    private GroupedSources() {}

    /**
     * A group for each row.
     *
     * @param vector whether x and A are read by fours
     * @param upVector whether B is
     * @param keep whether scores stay
     */
    record Rows(DType x, DType down, DType up, boolean vector, boolean upVector, boolean keep) {
        private static final int GROUP = 1024;

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> product("grouped_lora", GROUP, x, down, up, vector, upVector, keep));
        }
    }

    /** A group for up to {@link #ROWS} rows of one adapter; otherwise as {@link Rows}. */
    record Runs(DType x, DType down, DType up, boolean vector, boolean upVector, boolean keep) {
        static final int ROWS = 16;
        private static final int GROUP = 256;

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> product("grouped_lora_runs", GROUP, x, down, up, vector, upVector, keep));
        }
    }

    /** Sums over the rows of each adapter, which a list names or which are all. */
    record Gradients(boolean listed) {
        private static final int GROUP = 256;
        private static final int COLUMNS = 32;
        private static final int RANKS = 16;

        static long slabs(long columns) {
            return (columns + COLUMNS - 1) / COLUMNS;
        }

        static long chunks(long rank) {
            return (rank + RANKS - 1) / RANKS;
        }

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> {
                List<Param> params = new ArrayList<>();
                List.of("x", "dy", "scores", "back").forEach(n -> params.add(Param.in(n, DType.F32)));
                params.addAll(List.of(Param.in("plan", DType.I64), Param.out("out", DType.F32)));
                List.of("adapters", "inner", "columns").forEach(n -> params.add(Param.int32(n)));
                List.of("x_row", "dy_row", "scores_row", "back_row").forEach(n -> params.add(Param.int64(n)));
                return CudaSource.of("grouped_lora_gradients", params, Map.of("LISTED", listed ? 1 : 0), GROUP, 0, Chip.SM80);
            });
        }
    }

    private static CudaSource product(String name, int group, DType x, DType down, DType up, boolean vector, boolean upVector, boolean keep) {
        List<Param> params = new ArrayList<>(List.of(Param.in("x", x), Param.in("plan", DType.I64), Param.out("y", DType.F32)));
        if (keep) {
            params.add(Param.out("kept", DType.F32));
        }
        List.of("adapters", "columns", "inner").forEach(n -> params.add(Param.int32(n)));
        List.of("x_row", "x_inner", "y_row", "y_column").forEach(n -> params.add(Param.int64(n)));
        if (keep) {
            params.add(Param.int64("kept_row"));
        }
        Map<String, Integer> defines = new TreeMap<>(Map.of("VECTOR", bit(vector), "UP_VECTOR", bit(upVector), "KEEP", bit(keep), "DOWN", type(down),
                "UP", type(up), "REGISTERS_FIRST", 1));
        return CudaSource.of(CudaSource.resource("grouped_lora.h"), name, params, defines, group, 0, Chip.SM80);
    }

    private static int type(DType type) {
        return type == DType.F32 ? 0 : type == DType.BF16 ? 1 : 2;
    }

    private static int bit(boolean b) {
        return b ? 1 : 0;
    }
}
