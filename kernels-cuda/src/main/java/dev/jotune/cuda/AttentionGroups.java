package dev.jotune.cuda;

import static dev.jotune.cuda.AttentionKernels.flag;
import static dev.jotune.cuda.AttentionKernels.ints;
import static dev.jotune.cuda.AttentionKernels.longs;

import dev.jotune.cuda.AttentionKernels.Kind;
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

/** The kernels of attention for warp groups ({@code wgmma}, TMA), each with its tile and its parameters. */
final class AttentionGroups {
    /** Lines of a warp group's own: queries, in the keys' kernel keys. */
    static final int OWN = 64;
    private static final Map<Object, CudaSource> KNOWN = new ConcurrentHashMap<>();

    private AttentionGroups() {}

    /** One of the three kernels. */
    enum Pass {
        FORWARD("attention_wgmma", 256), QUERY("attention_wgmma_query", 128), KEYS("attention_wgmma_keys", 128);

        private final String text;
        private final int widest;

        Pass(String text, int widest) {
            this.text = text;
            this.widest = widest;
        }

        /** The widest heads: beyond them results leave no registers. */
        int widest() {
            return widest;
        }

        Tile tile(int width, boolean masked) {
            return switch (this) {
                case FORWARD -> width > 128 ? new Tile(2, 64, 2) : width > 64 ? new Tile(2, 128, 2) : new Tile(3, 128, 2);
                // With 128 keys of 64 features there is no register left for masks.
                case QUERY -> width > 64 || masked ? new Tile(2, 64, 4) : new Tile(2, 128, 3);
                case KEYS -> new Tile(2, 64, 4);
            };
        }
    }

    /**
     * How a group works.
     *
     * @param teams warp groups with {@link #OWN} lines each
     * @param passing lines at a time that pass by them
     * @param stages of these in shared memory
     */
    record Tile(int teams, int passing, int stages) {
        int own() {
            return OWN * teams;
        }

        /** What the fetching warp group keeps, and what each of the others then has, of a unit's 65536 registers. */
        int fetchRegisters() {
            return teams == 2 ? 24 : 32;
        }

        int teamRegisters() {
            return teams == 2 ? 240 : 160;
        }
    }

    private record Key(Pass pass, Kind kind) {}

    /** The width that kernels are made for which takes heads of up to so many features. */
    static int width(int features) {
        return (features + 63) / 64 * 64;
    }

    /** @param kind its width is one of {@link #width} */
    static CudaSource source(Pass pass, Kind kind) {
        return KNOWN.computeIfAbsent(new Key(pass, kind), _ -> switch (pass) {
            case FORWARD -> source(pass, kind, forward(kind), 1);
            case QUERY -> source(pass, kind, query(kind), 2);
            case KEYS -> source(pass, kind, keys(kind), 2);
        });
    }

    private static List<Param> forward(Kind kind) {
        List<Param> params = new ArrayList<>(List.of(Param.tensorMap("query_map")));
        maps(params, kind);
        params.addAll(List.of(Param.out("out", kind.out()), Param.out("lse", DType.F32)));
        ints(params, "batch", "heads", "groups", "times", "value_width", "section");
        segments(params, kind);
        params.addAll(List.of(Param.real("fold"), Param.real("squash")));
        longs(params, "out_b", "out_h", "out_t");
        return params;
    }

    private static List<Param> query(Kind kind) {
        List<Param> params = new ArrayList<>(List.of(Param.tensorMap("query_map"), Param.tensorMap("up_map")));
        maps(params, kind);
        params.addAll(List.of(Param.in("lse", DType.F32), Param.in("delta", DType.F32), Param.out("dquery", kind.out())));
        ints(params, "batch", "heads", "groups", "times", "width", "first", "section");
        segments(params, kind);
        params.addAll(List.of(Param.real("fold"), Param.real("squash"), Param.real("scale")));
        longs(params, "dquery_b", "dquery_h", "dquery_t");
        return params;
    }

    private static List<Param> keys(Kind kind) {
        List<Param> params = new ArrayList<>(List.of(Param.tensorMap("query_map"), Param.tensorMap("up_map"), Param.tensorMap("key_map"),
                Param.tensorMap("value_map")));
        if (kind.masked()) {
            params.add(Param.in("mask", DType.BOOL));
        }
        params.addAll(List.of(Param.in("lse", DType.F32), Param.in("delta", DType.F32), Param.out("dkey", kind.out()),
                Param.out("dvalue", kind.out())));
        ints(params, "batch", "heads", "groups", "times", "keys", "width", "value_width", "ahead", "behind", "shared", "parts", "section");
        params.addAll(List.of(Param.real("fold"), Param.real("squash"), Param.real("scale")));
        if (kind.masked()) {
            longs(params, "mask_b");
        }
        longs(params, "dkey_part", "dkey_g", "dkey_s", "dvalue_part", "dvalue_g", "dvalue_s");
        return params;
    }

    private static void maps(List<Param> params, Kind kind) {
        for (int i = 0; i < kind.segments(); i++) {
            params.addAll(List.of(Param.tensorMap("key_map" + i), Param.tensorMap("value_map" + i)));
            if (kind.masked()) {
                params.add(Param.in("mask" + i, DType.BOOL));
            }
        }
    }

    private static void segments(List<Param> params, Kind kind) {
        for (int i = 0; i < kind.segments(); i++) {
            ints(params, "keys" + i, "ahead" + i, "behind" + i, "shared" + i);
            if (kind.masked()) {
                ints(params, "masked" + i);
                longs(params, "mask_b" + i);
            }
        }
    }

    /** @param owned operands of which a team has lines of its own; two pass by */
    private static CudaSource source(Pass pass, Kind kind, List<Param> params, int owned) {
        Tile tile = pass.tile(kind.width(), kind.masked());
        SortedMap<String, Integer> defines = new TreeMap<>(Map.of("TEAMS", tile.teams, "M_TILES", 1, "N_TILES", tile.passing / 8, "BN", tile.passing,
                "STAGES", tile.stages, "FETCH_REGISTERS", tile.fetchRegisters(), "TEAM_REGISTERS", tile.teamRegisters(), "REGISTERS_FIRST", 1));
        defines.putAll(Map.of("WIDTH", kind.width(), "SEGMENTS", kind.segments(), "HALF", flag(kind.type() == DType.F16),
                "CAPPED", flag(kind.capped()), "MASKED", flag(kind.masked()), "OUT_HALF", flag(kind.out() != DType.F32)));
        int shared = (tile.own() * owned + 2 * tile.stages * tile.passing) * kind.width() * 2;
        String text = CudaSource.resource("attention_mma.h") + CudaSource.resource("attention_wgmma.h") + CudaSource.resource(pass.text + ".cu");
        return new CudaSource(new KernelSource(pass.text, text, params, defines, 128 * (tile.teams + 1), DType.F32), shared, Chip.SM90A, 1);
    }
}
