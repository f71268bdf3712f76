package dev.jotune.cuda;

import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Map;

/** The kernels of a decode step that read from device memory what differs between steps; warps shuffle in one, so they are for CUDA alone. */
final class DecodeTexts {
    /** Of each text: the token, how many are in the cache before it, and where padding begins and ends there. */
    static final int STATE = 4;

    private static final int GROUP = 128;

    private DecodeTexts() {}

    private static CudaSource source(String name, Map<String, Integer> defines, Param... params) {
        return CudaSource.of(name, List.of(params), defines, GROUP, 0, CudaSource.Chip.SM80);
    }

    /** Arguments: table, state, x, hidden size, factor. */
    static CudaSource embed(DType table) {
        return source("decode_embed", Map.of("STATE", STATE), Param.in("table", table), Param.in("state", DType.I64), Param.out("x", DType.F32),
                Param.int64("hidden"), Param.real("scale"));
    }

    /** Arguments: query, key, value, norms of heads, state, cosines, sines, keys, values, the cache's strides, epsilon. */
    static CudaSource rotate(int heads, int groups, int size, int half, boolean normed, DType cache) {
        return source("decode_rotate", Map.of("HEADS", heads, "GROUPS", groups, "SIZE", size, "HALF", half, "NORMED", normed ? 1 : 0, "STATE",
                STATE), Param.out("query", DType.F32), Param.in("key", DType.F32), Param.in("value", DType.F32),
                Param.in("queryNorm", DType.F32), Param.in("keyNorm", DType.F32), Param.in("state", DType.I64),
                Param.in("cosine", DType.F32), Param.in("sine", DType.F32),
                Param.out("keys", cache), Param.out("values", cache), Param.int64("textStride"), Param.int64("headStride"),
                Param.int64("rowStride"), Param.real("eps"));
    }

    /**
     * Arguments: q, keys, values, state, parts, the keys' strides, heads of queries, parts of a head, which of them is the first here, the
     * scores' factor, the window, and how many keys there are if that is not the state's.
     */
    static CudaSource attention(int share, int size, DType keys) {
        return source("decode_attention", Map.of("SHARE", share, "SIZE", size, "STATE", STATE), Param.in("q", DType.F32), Param.in("keys", keys),
                Param.in("values", keys), Param.in("state", DType.I64), Param.out("parts", DType.F32), Param.int64("textStride"),
                Param.int64("headStride"), Param.int64("rowStride"), Param.int64("heads"), Param.int64("runs"), Param.int64("first"),
                Param.real("scale"), Param.int64("window"), Param.int64("fixed"));
    }

    /** Arguments: parts, result, their number for a head. */
    static CudaSource merge(int size) {
        return source("decode_merge", Map.of("SIZE", size), Param.in("parts", DType.F32), Param.out("out", DType.F32), Param.int64("runs"));
    }
}
