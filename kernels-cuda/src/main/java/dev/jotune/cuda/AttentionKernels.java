package dev.jotune.cuda;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/** The kernels of attention on tensor cores ({@code mma.sync}), each with its tile and its parameters. */
final class AttentionKernels {
    /** The widest heads. */
    static final int MAX_WIDTH = 256;
    /** Both gradients of a segment fit an item's registers up to this width. */
    static final int BOTH_WIDTH = 128;
    /** The plain kernel's, for heads of any width. */
    static final Tile PLAIN = new Tile(4, 1, 1, 32, 1);
    private static final int[] WIDTHS = {32, 64, 96, 128, 192, MAX_WIDTH};
    private static final Map<Object, CudaSource> KNOWN = new ConcurrentHashMap<>();

    private AttentionKernels() {}

    /**
     * A tile and the warps that compute it.
     *
     * @param rowWarps warps with rows of their own
     * @param keyWarps warps that share the keys of the same rows
     * @param rowTiles tiles of 16 rows that a warp has
     * @param columns keys (in the keys' kernel queries) at a time
     * @param stages of them in shared memory
     */
    record Tile(int rowWarps, int keyWarps, int rowTiles, int columns, int stages) {
        int rows() {
            return 16 * rowTiles * rowWarps;
        }

        int threads() {
            return 32 * rowWarps * keyWarps;
        }
    }

    /**
     * What a text is specialised for.
     *
     * @param type of queries, keys, values and dOut
     * @param width at least that of keys and values
     * @param segments one or two
     * @param masked whether a segment has a key mask
     * @param out how results are stored: F32 or {@code type}
     */
    record Kind(DType type, int width, int segments, boolean capped, boolean masked, DType out) {}

    private record Key(String name, Tile tile, Kind kind, boolean keys, boolean values) {}

    /** The width that kernels are made for which takes heads of this many features. */
    static int width(long features) {
        for (int w : WIDTHS) {
            if (features <= w) {
                return w;
            }
        }
        throw new IllegalArgumentException("Heads of " + features + " features are too wide for tensor cores. Use up to " + MAX_WIDTH + ".");
    }

    /** The forward kernel's tile for units of so many rows. */
    static Tile forwardTile(int width, long rows) {
        if (rows <= 16) {
            int stages = width % 128 == 0 ? 2 : 3;
            return width <= 128 ? new Tile(1, 4, 1, 64, stages) : new Tile(1, 2, 1, 32, stages);
        }
        if (width > 128) {
            return new Tile(4, 1, 1, 32, 2);
        }
        if (rows <= 64) {
            return new Tile(4, 1, 1, 64, 2);
        }
        // 32 rows a warp, where wider heads would leave no registers to spare.
        return width <= 64 ? new Tile(4, 1, 2, 48, 2) : new Tile(8, 1, 1, 64, 2);
    }

    static Tile queryTile(int width) {
        if (width <= 64) {
            return new Tile(4, 1, 2, 32, 2);
        }
        return width <= 128 ? new Tile(8, 1, 1, 32, 2) : new Tile(4, 1, 1, width <= 192 ? 32 : 16, 2);
    }

    static Tile keysTile(int width) {
        return width <= 128 ? new Tile(8, 1, 1, 32, 2) : new Tile(4, 1, 1, width <= 192 ? 32 : 16, 2);
    }

    static CudaSource forward(Tile tile, Kind kind) {
        return KNOWN.computeIfAbsent(new Key("attention_mma", tile, kind, false, false), k -> {
            List<Param> params = inputs(kind);
            params.addAll(List.of(Param.in("state_out", DType.F32), Param.in("state_lse", DType.F32), Param.out("out", kind.out),
                    Param.out("lse", DType.F32)));
            ints(params, "batch", "heads", "groups", "times", "width", "value_width", "unit_batch", "unit_heads", "parts", "states", "section");
            segments(params, kind);
            longs(params, "query_b", "query_h", "query_t", "out_part", "out_b", "out_h", "out_t");
            int shared = (tile.rows() + 2 * tile.stages * tile.columns) * kind.width * 2;
            return source((Key) k, params, tile.columns / tile.keyWarps / 8, shared);
        });
    }

    /** The forward kernel that copies nothing ahead: the rung below {@link #forward}. */
    static CudaSource plain(Kind kind) {
        return KNOWN.computeIfAbsent(new Key("attention_mma_plain", PLAIN, kind, false, false), k -> {
            List<Param> params = inputs(kind);
            params.addAll(List.of(Param.out("out", kind.out), Param.out("lse", DType.F32)));
            ints(params, "batch", "heads", "groups", "times", "width", "value_width");
            segments(params, kind);
            longs(params, "query_b", "query_h", "query_t", "out_b", "out_h", "out_t");
            return source((Key) k, params, PLAIN.columns / 8, (PLAIN.rows() + 2 * PLAIN.columns) * kind.width * 2);
        });
    }

    static CudaSource query(Tile tile, Kind kind) {
        return KNOWN.computeIfAbsent(new Key("attention_mma_query", tile, kind, false, false), k -> {
            List<Param> params = inputs(kind);
            gradients(params, kind);
            params.add(Param.out("dquery", kind.out));
            ints(params, "batch", "heads", "groups", "times", "width", "value_width", "first", "section");
            segments(params, kind);
            params.add(Param.real("scale"));
            longs(params, "query_b", "query_h", "query_t", "out_b", "out_h", "out_t", "dquery_b", "dquery_h", "dquery_t");
            int shared = (2 * tile.rows() + 2 * tile.stages * tile.columns) * kind.width * 2;
            return source((Key) k, params, tile.columns / 8, shared);
        });
    }

    static CudaSource keys(Tile tile, Kind kind, boolean keys, boolean values) {
        return KNOWN.computeIfAbsent(new Key("attention_mma_keys", tile, kind, keys, values), k -> {
            List<Param> params = new ArrayList<>(List.of(Param.in("query", kind.type), Param.in("key", kind.type), Param.in("value", kind.type)));
            if (kind.masked) {
                params.add(Param.in("mask", DType.BOOL));
            }
            gradients(params, kind);
            if (keys) {
                params.add(Param.out("dkey", kind.out));
            }
            if (values) {
                params.add(Param.out("dvalue", kind.out));
            }
            ints(params, "batch", "heads", "groups", "times", "keys", "width", "value_width", "ahead", "behind", "shared", "parts", "section");
            params.addAll(List.of(Param.real("fold"), Param.real("squash"), Param.real("scale")));
            longs(params, "query_b", "query_h", "query_t", "key_b", "key_g", "key_s", "value_b", "value_g", "value_s", "out_b", "out_h", "out_t");
            if (kind.masked) {
                longs(params, "mask_b", "mask_s");
            }
            if (keys) {
                longs(params, "dkey_part", "dkey_g", "dkey_s");
            }
            if (values) {
                longs(params, "dvalue_part", "dvalue_g", "dvalue_s");
            }
            int shared = (tile.rows() * (keys ? 2 : 1) + 2 * tile.stages * tile.columns) * kind.width * 2;
            return source((Key) k, params, tile.columns / 8, shared);
        });
    }

    private static List<Param> inputs(Kind kind) {
        List<Param> params = new ArrayList<>(List.of(Param.in("query", kind.type)));
        for (int i = 0; i < kind.segments; i++) {
            params.addAll(List.of(Param.in("key" + i, kind.type), Param.in("value" + i, kind.type)));
            if (kind.masked) {
                params.add(Param.in("mask" + i, DType.BOOL));
            }
        }
        return params;
    }

    private static void gradients(List<Param> params, Kind kind) {
        params.addAll(List.of(Param.in("dout", kind.type), Param.in("lse", DType.F32), Param.in("delta", DType.F32)));
    }

    private static void segments(List<Param> params, Kind kind) {
        for (int i = 0; i < kind.segments; i++) {
            ints(params, "keys" + i, "ahead" + i, "behind" + i);
            longs(params, "key_b" + i, "key_g" + i, "key_s" + i, "value_b" + i, "value_g" + i, "value_s" + i);
            masks(params, kind, i);
        }
        params.addAll(List.of(Param.real("fold"), Param.real("squash")));
    }

    private static void masks(List<Param> params, Kind kind, int i) {
        if (kind.masked) {
            ints(params, "masked" + i);
            longs(params, "mask_b" + i, "mask_s" + i);
        }
    }

    static void ints(List<Param> params, String... names) {
        for (String name : names) {
            params.add(Param.int32(name));
        }
    }

    static void longs(List<Param> params, String... names) {
        for (String name : names) {
            params.add(Param.int64(name));
        }
    }

    private static CudaSource source(Key key, List<Param> params, int columnTiles, int shared) {
        Tile tile = key.tile;
        Kind kind = key.kind;
        SortedMap<String, Integer> defines = new TreeMap<>(Map.of("ROW_WARPS", tile.rowWarps, "KEY_WARPS", tile.keyWarps, "M_TILES", tile.rowTiles,
                "N_TILES", columnTiles, "BN", tile.columns, "STAGES", tile.stages, "WANT_KEYS", flag(key.keys), "WANT_VALUES", flag(key.values),
                "REGISTERS_FIRST", 1));
        defines.putAll(Map.of("WIDTH", kind.width, "SEGMENTS", kind.segments, "HALF", flag(kind.type == DType.F16), "CAPPED", flag(kind.capped),
                "MASKED", flag(kind.masked), "OUT_HALF", flag(kind.out != DType.F32)));
        String text = CudaSource.resource("attention_mma.h") + CudaSource.resource(key.name + ".cu");
        return new CudaSource(new KernelSource(key.name, text, params, defines, tile.threads(), DType.F32), shared, Chip.SM80, 1);
    }

    static int flag(boolean b) {
        return b ? 1 : 0;
    }
}
