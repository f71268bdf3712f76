package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/** The kernels of attention over segments, each with its parameters in one order for every target. */
final class AttentionSources {
    /** The widest heads: an item then has 64 numbers of the result in registers. */
    static final int MAX_WIDTH = 256;
    /** Both gradients of a segment fit an item's registers up to this width. */
    static final int BOTH_WIDTH = 128;
    private static final Map<Object, KernelSource> KNOWN = new ConcurrentHashMap<>();

    private AttentionSources() {}

    /**
     * A tile of scores and the items that compute it, each {@code ownRows x ownCols} of them.
     *
     * @param rows of queries, in the keys' kernel of keys
     */
    record Tile(int rows, int cols, int ownRows, int ownCols) {
        /** A matrix of queries against keys. */
        static final Tile WIDE = new Tile(64, 64, 4, 4);
        /** One query of a few heads, or a few queries, against many keys: mostly a question of reading the keys. */
        static final Tile FEW = new Tile(4, 256, 4, 4);

        int group() {
            return rows / ownRows * across();
        }

        int across() {
            return cols / ownCols;
        }

        /** The width of rows in shared memory: what each item's share of {@code width} features, at least two, makes together. */
        int pad(int width) {
            int step = 2 * across();
            return (width + step - 1) / step * step;
        }
    }

    /** Which text a problem needs: types, and what its scores pass through. */
    record Kind(Tile tile, int pad, DType query, DType key, DType value, Optional<DType> bias, boolean masked) {}

    private record Key(String name, Kind kind, boolean keys, boolean values) {}

    static KernelSource forward(Kind kind) {
        return KNOWN.computeIfAbsent(new Key("attention_forward", kind, false, false), k -> {
            List<Param> params = inputs(kind);
            params.addAll(List.of(Param.out("out", DType.F32), Param.out("lse", DType.F32)));
            sizes(params, kind);
            params.addAll(strides("out", "part", "b", "h", "t"));
            params.addAll(List.of(Param.int32("first"), Param.int32("parts")));
            return source((Key) k, params);
        });
    }

    static KernelSource query(Kind kind) {
        return KNOWN.computeIfAbsent(new Key("attention_query", kind, false, false), k -> {
            List<Param> params = gradientInputs(kind);
            params.add(Param.out("dquery", DType.F32));
            sizes(params, kind);
            params.addAll(strides("out", "b", "h", "t"));
            params.addAll(strides("dquery", "b", "h", "t"));
            params.add(Param.int32("first"));
            return source((Key) k, params);
        });
    }

    static KernelSource keys(Kind kind, boolean keys, boolean values) {
        return KNOWN.computeIfAbsent(new Key("attention_keys", kind, keys, values), k -> {
            List<Param> params = gradientInputs(kind);
            if (keys) {
                params.add(Param.out("dkey", DType.F32));
            }
            if (values) {
                params.add(Param.out("dvalue", DType.F32));
            }
            sizes(params, kind);
            params.addAll(strides("out", "b", "h", "t"));
            if (keys) {
                params.addAll(strides("dkey", "part", "g", "s"));
            }
            if (values) {
                params.addAll(strides("dvalue", "part", "g", "s"));
            }
            params.addAll(List.of(Param.int32("shared"), Param.int32("parts")));
            return source((Key) k, params);
        });
    }

    private static List<Param> inputs(Kind kind) {
        List<Param> params = new ArrayList<>(List.of(Param.in("query", kind.query), Param.in("key", kind.key), Param.in("value", kind.value)));
        if (kind.masked) {
            params.add(Param.in("mask", DType.BOOL));
        }
        kind.bias.ifPresent(type -> params.add(Param.in("bias", type)));
        return params;
    }

    private static List<Param> gradientInputs(Kind kind) {
        List<Param> params = inputs(kind);
        params.addAll(List.of(Param.in("dout", DType.F32), Param.in("lse", DType.F32), Param.in("delta", DType.F32)));
        return params;
    }

    private static void sizes(List<Param> params, Kind kind) {
        for (String name : new String[] {"batch", "heads", "groups", "times", "keys", "width", "value_width", "ahead", "behind"}) {
            params.add(Param.int32(name));
        }
        params.addAll(List.of(Param.real("scale"), Param.real("cap")));
        params.addAll(strides("query", "b", "h", "t"));
        params.addAll(strides("key", "b", "g", "s"));
        params.addAll(strides("value", "b", "g", "s"));
        if (kind.masked) {
            params.addAll(strides("mask", "b", "s"));
        }
        if (kind.bias.isPresent()) {
            params.addAll(strides("bias", "b", "h", "t", "s"));
        }
    }

    private static List<Param> strides(String of, String... axes) {
        List<Param> all = new ArrayList<>();
        for (String axis : axes) {
            all.add(Param.int64(of + "_" + axis));
        }
        return all;
    }

    private static KernelSource source(Key key, List<Param> params) {
        Kind kind = key.kind;
        Map<String, Integer> defines = new TreeMap<>(Map.of("ROWS", kind.tile.rows, "COLS", kind.tile.cols, "OWN_ROWS", kind.tile.ownRows,
                "OWN_COLS", kind.tile.ownCols, "PAD", kind.pad, "BIASED", flag(kind.bias.isPresent()),
                "MASKED", flag(kind.masked), "WANT_KEYS", flag(key.keys), "WANT_VALUES", flag(key.values),
                "REGISTERS_FIRST", 1));
        return KernelSource.of(AttentionSources.class, key.name, params, new TreeMap<>(defines), kind.tile.group());
    }

    private static int flag(boolean b) {
        return b ? 1 : 0;
    }
}
