package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** The kernels behind a device's primitives that no expression can say, made once for each combination of types. */
final class PrimitiveTexts {
    /** Items of a group, unless a device knows better. */
    static final int GROUP = 128;
    private static final Map<List<Object>, KernelSource> KNOWN = new ConcurrentHashMap<>();

    private PrimitiveTexts() {}

    private static KernelSource known(List<Object> key, Supplier<KernelSource> make) {
        KernelSource s = KNOWN.get(key);
        return s != null ? s : KNOWN.computeIfAbsent(key, k -> make.get());
    }

    private static KernelSource text(String name, DType arithmetic, Map<String, Integer> defines, int group, Param... params) {
        return new KernelSource(name, resource(name + ".cl"), List.of(params), new TreeMap<>(defines), group, arithmetic);
    }

    private static KernelSource reduction(String name, DType x, DType out, boolean sum, Param... more) {
        List<Param> params = new ArrayList<>(List.of(Param.in("x", x), Param.out("y", out)));
        params.addAll(List.of(more));
        return new KernelSource(name, resource(name + ".cl"), params, new TreeMap<>(Map.of("SUM", sum ? 1 : 0)), GROUP, arithmetic(x, out));
    }

    private static KernelSource noise(String name, DType out, DType arithmetic) {
        return new KernelSource(name, resource(name + ".cl"), List.of(Param.out("y", out), Param.int64("n"), Param.int64("seed"),
                Param.int64("stream")), new TreeMap<>(), GROUP, arithmetic);
    }

    private static String resource(String name) {
        return KernelSource.resource(PrimitiveTexts.class, name);
    }

    private static DType arithmetic(DType... types) {
        return List.of(types).contains(DType.F64) ? DType.F64 : DType.F32;
    }

    /** The same kernel with groups of another size. */
    static KernelSource sized(KernelSource kernel, int group) {
        return group == kernel.group() ? kernel : known(List.of(kernel, group), () -> kernel.withGroup(group));
    }

    /** Copies between layouts, bits unchanged or integers converted. */
    static KernelSource copy(DType from, DType to, int outer) {
        return known(List.of("copy", from, to, outer), () -> CopyText.of(from, to, outer));
    }

    static KernelSource argmax(DType x) {
        return known(List.of("argmax", x), () -> text("argmax", arithmetic(x), Map.of(), GROUP, Param.in("x", x), Param.out("place", DType.I64),
                Param.int64("rows"), Param.int64("n")));
    }

    static KernelSource reduceColumns(DType x, DType out, boolean sum) {
        return known(List.of("columns", x, out, sum), () -> reduction("reduce_columns", x, out, sum, Param.int64("outer"),
                Param.int64("rows"), Param.int64("columns"), Param.int64("x_outer"), Param.int64("x_row"), Param.int64("x_column"),
                Param.int64("y_outer"), Param.int64("y_column")));
    }

    static KernelSource reduceRows(DType x, DType out, boolean sum) {
        return known(List.of("rows", x, out, sum), () -> reduction("reduce_rows", x, out, sum, Param.int64("rows"),
                Param.int64("inner"), Param.int64("n"), Param.int64("x_outer"), Param.int64("x_inner"), Param.int64("x_step"),
                Param.int64("y_outer"), Param.int64("y_inner")));
    }

    static KernelSource gather(DType table, DType ids, DType out) {
        return known(List.of("gather", table, ids, out), () -> text("gather", arithmetic(table, out), Map.of(), GROUP, Param.in("table", table),
                Param.in("ids", ids), Param.out("y", out), Param.int64("count"), Param.int64("width"), Param.int64("table_row"),
                Param.int64("table_column"), Param.int64("y_row"), Param.int64("y_column")));
    }

    static KernelSource scatterAdd(DType rows, DType table) {
        return known(List.of("scatter", rows, table), () -> text("scatter_add", arithmetic(rows, table), Map.of(), GROUP,
                Param.in("added", rows), Param.in("plan", DType.I64), Param.out("table", table), Param.int64("targets"), Param.int64("width"),
                Param.int64("added_row"), Param.int64("added_column"), Param.int64("table_row"), Param.int64("table_column")));
    }

    static KernelSource uniform(DType out) {
        return known(List.of("uniform", out), () -> noise("uniform", out, arithmetic(out)));
    }

    /** Always in F64: that is what makes the numbers the same everywhere. */
    static KernelSource normal(DType out) {
        return known(List.of("normal", out), () -> noise("normal", out, DType.F64));
    }
}
