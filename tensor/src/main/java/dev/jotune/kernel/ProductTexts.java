package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Kernels of matrix products {@code out (+)= a b} and of quantised weights.
 *
 * <p>Parameters of a product, in order: {@code a, b}, what {@link Weight} adds, {@code out}; {@code rows, columns, inner,
 * inner_batches, accumulate, out_fours} (32 bits); then, all in elements and 64 bits, for a, b and out the strides of its two axes,
 * of batches that lie outside and of those within. A quantised b has the bytes of a row instead of strides, then for blocks whether
 * they are ordered, for NF4 the mean.
 */
final class ProductTexts {
    /** Items of a group of the kernels that are bound by reading. */
    static final int SKINNY_GROUP = 128;
    /** Rows for which each number of b is read once. */
    static final int SKINNY_ROWS = 8;

    /** Columns that its items hold sums of, if they go along the inner axis; otherwise twice as many. */
    private static final int SKINNY_COLUMNS = 16;
    private static final Map<Record, KernelSource> MADE = new ConcurrentHashMap<>();

    private ProductTexts() {}

    /**
     * What b is: numbers, or a quantised weight.
     *
     * @param format empty for numbers; a name that {@code quant.cl} knows
     */
    record Weight(String format) {
        static final Weight NUMBERS = new Weight("");
        static final String NF4 = "NF4";
        static final String SIGNS = "SIGNS";

        boolean quantized() {
            return !format.isEmpty();
        }

        private boolean isNf4() {
            return format.equals(NF4);
        }

        private boolean isBlocks() {
            return quantized() && !isNf4() && !format.equals(SIGNS);
        }

        private void parameters(List<Param> to) {
            if (isBlocks()) {
                to.add(Param.in("order", DType.I32));
            }
            if (isNf4()) {
                to.add(Param.in("magnitudes", DType.U8));
                to.add(Param.in("scales", DType.F32));
                to.add(Param.in("tables", DType.F32));
            }
        }

        private void numbers(List<Param> to) {
            to.add(Param.int64("row_bytes"));
            if (isBlocks()) {
                to.add(Param.int32("ordered"));
            }
            if (isNf4()) {
                to.add(Param.real("mean"));
            }
        }

        private SortedMap<String, Integer> defines() {
            SortedMap<String, Integer> all = new TreeMap<>(Map.of("QUANTIZED", quantized() ? 1 : 0));
            if (quantized()) {
                all.put(format, 1);
            }
            return all;
        }

        private String text(String kernel) {
            String text = resource(kernel);
            return quantized() ? resource("quant.cl") + text : text;
        }
    }

    /**
     * A product in tiles.
     *
     * @param vector whether a and b are fetched by fours: neighbours, aligned, and all there or none
     * @param aInner with vector: whether fours of a lie along the inner axis, not across it; so for b
     */
    record Tiled(DType a, DType b, DType out, Tile tile, boolean vector, boolean aInner, boolean bInner, Weight weight) {
        Tiled {
            aInner &= vector;
            bInner &= vector;
        }

        KernelSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private KernelSource make() {
            SortedMap<String, Integer> defines = weight.defines();
            defines.putAll(tile.defines());
            defines.put("A_INNER", bit(aInner));
            defines.put("B_INNER", bit(bInner));
            defines.put("VECTOR", bit(vector));
            defines.put("OUT_F32", bit(out == DType.F32));
            return new KernelSource("gemm", weight.text("gemm.cl"), params(a, b, out, weight), defines, tile.group(), arithmetic(a, b, out));
        }
    }

    /**
     * A product of few rows.
     *
     * @param rows that items hold sums of
     * @param vector whether b, and a along the inner axis if b is, is read by fours: neighbours, aligned, and all there or none
     * @param bInner with vector: whether fours of b lie along the inner axis, not across it
     */
    record Skinny(DType a, DType b, DType out, int rows, boolean vector, boolean bInner, Weight weight) {
        Skinny {
            bInner &= vector;
        }

        KernelSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private KernelSource make() {
            SortedMap<String, Integer> defines = weight.defines();
            defines.put("ROWS", rows);
            defines.put("B_INNER", bit(bInner));
            defines.put("VECTOR", bit(vector));
            return new KernelSource("skinny", weight.text("skinny.cl"), params(a, b, out, weight), defines, SKINNY_GROUP, arithmetic(a, b, out));
        }
    }

    /**
     * Log-sum-exps of rows of a b, and their labels' logits; parameters in order: {@code a, b, labels, parts, target}; {@code rows, columns,
     * inner, splits} (32 bits); the strides of a's two axes and of b's; the cap, if there is one.
     *
     * @param vector as in {@link Tiled}; so aInner and bInner
     */
    record Vocabulary(DType a, DType b, Tile tile, boolean vector, boolean aInner, boolean bInner, boolean capped) {
        Vocabulary {
            aInner &= vector;
            bInner &= vector;
        }

        KernelSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private KernelSource make() {
            List<Param> params = new ArrayList<>(List.of(Param.in("a", a), Param.in("b", b), Param.in("labels", DType.I64),
                    Param.out("parts", DType.F32), Param.out("target", DType.F32)));
            List.of("rows", "columns", "inner", "splits").forEach(n -> params.add(Param.int32(n)));
            List.of("a_row", "a_inner", "b_inner", "b_column").forEach(n -> params.add(Param.int64(n)));
            if (capped) {
                params.add(Param.real("softcap"));
            }
            SortedMap<String, Integer> defines = Weight.NUMBERS.defines();
            defines.putAll(tile.defines());
            defines.putAll(Map.of("A_INNER", bit(aInner), "B_INNER", bit(bInner), "VECTOR", bit(vector), "CAPPED", bit(capped)));
            return KernelSource.of(ProductTexts.class, "vocabulary", params, defines, tile.group());
        }
    }

    /** Widening rows {@code from ..}: b and what its format adds, out; {@code from, count, inner} (32 bits); {@code row_bytes}, the mean. */
    record Widened(Weight weight, DType out, boolean fours) {
        KernelSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private KernelSource make() {
            List<Param> params = new ArrayList<>(List.of(Param.in("b", DType.U8)));
            weight.parameters(params);
            params.addAll(List.of(Param.out("out", out), Param.int32("from"), Param.int32("count"), Param.int32("inner")));
            weight.numbers(params);
            SortedMap<String, Integer> defines = weight.defines();
            defines.put("WIDTH", fours ? 4 : 1);
            return new KernelSource("dequantize", weight.text("dequantize.cl"), params, defines, SKINNY_GROUP, DType.F32);
        }
    }

    /** Groups of a skinny product: b is read along the inner axis, or across it. */
    static long skinnyGroups(long columns, boolean along) {
        long each = along ? SKINNY_COLUMNS : 2 * SKINNY_COLUMNS;
        return (columns + each - 1) / each;
    }

    private static List<Param> params(DType a, DType b, DType out, Weight weight) {
        List<Param> all = new ArrayList<>(List.of(Param.in("a", a), Param.in("b", b)));
        weight.parameters(all);
        all.add(Param.out("out", out));
        for (String size : List.of("rows", "columns", "inner", "inner_batches", "accumulate", "out_fours")) {
            all.add(Param.int32(size));
        }
        for (String stride : List.of("a_row", "a_inner", "a_outer", "a_within", "b_inner", "b_column", "b_outer", "b_within", "out_row",
                "out_column", "out_outer", "out_within")) {
            if (!weight.quantized() || !stride.startsWith("b_")) {
                all.add(Param.int64(stride));
            }
        }
        if (weight.quantized()) {
            weight.numbers(all);
        }
        return all;
    }

    private static DType arithmetic(DType a, DType b, DType out) {
        return a == DType.F64 || b == DType.F64 || out == DType.F64 ? DType.F64 : DType.F32;
    }

    private static int bit(boolean b) {
        return b ? 1 : 0;
    }

    private static String resource(String name) {
        return KernelSource.resource(ProductTexts.class, name);
    }
}
