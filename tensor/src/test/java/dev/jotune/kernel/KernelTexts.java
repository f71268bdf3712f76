package dev.jotune.kernel;

import dev.jotune.kernel.ProductTexts.Skinny;
import dev.jotune.kernel.ProductTexts.Tiled;
import dev.jotune.kernel.ProductTexts.Vocabulary;
import dev.jotune.kernel.ProductTexts.Weight;
import dev.jotune.kernel.ProductTexts.Widened;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Every text of this package in the instances that differ most, by a name for reports: what checks of all kernels walk over. Who
 * writes a kernel adds its smallest and its largest instance here.
 */
public final class KernelTexts {
    private static final int LARGE_GROUP = 256;
    private static final int SMALL_GROUP = 32;
    private static final int MAMBA_STATES = 16;

    private KernelTexts() {}

    /** All instances. */
    public static Map<String, KernelSource> all() {
        Map<String, KernelSource> all = new LinkedHashMap<>();
        programs(all);
        primitives(all);
        products(all);
        norms(all);
        all.put("rotary", DeviceRotary.HALVES);
        all.put("rotary, interleaved", DeviceRotary.INTERLEAVED);
        all.put("adamw", DeviceAdamW.SOURCE);
        all.put("top k", DeviceTopK.SOURCE);
        all.put("sparse product", DeviceSparse.PRODUCT);
        all.put("gradient of a sparse matrix", DeviceSparse.GRADIENT);
        for (boolean backward : new boolean[] {false, true}) {
            all.put("scan ends, backward " + backward, ScanTexts.ends(MAMBA_STATES, backward));
            all.put("scan carry, backward " + backward, ScanTexts.carry(MAMBA_STATES, backward));
        }
        for (int states : new int[] {1, MAMBA_STATES, ScanTexts.MOST_STATES}) {
            all.put("scan outputs, " + states + " states", ScanTexts.outputs(states));
            all.put("scan gradients, " + states + " states", ScanTexts.gradients(states));
        }
        attention(all);
        return all;
    }

    private static void attention(Map<String, KernelSource> all) {
        for (AttentionSources.Tile tile : List.of(AttentionSources.Tile.WIDE, AttentionSources.Tile.FEW)) {
            for (int width : new int[] {64, 128}) {
                AttentionSources.Kind plain = new AttentionSources.Kind(tile, tile.pad(width), DType.F32, DType.F32, DType.F32, Optional.empty(),
                        false);
                AttentionSources.Kind masked = new AttentionSources.Kind(tile, tile.pad(width), DType.F32, DType.BF16, DType.F16,
                        Optional.of(DType.F32), true);
                for (AttentionSources.Kind kind : List.of(plain, masked)) {
                    String name = " of " + width + " features, " + tile.rows() + " rows" + (kind.masked() ? ", masked" : "");
                    all.put("attention" + name, AttentionSources.forward(kind));
                    if (tile == AttentionSources.Tile.WIDE) {
                        all.put("attention's queries" + name, AttentionSources.query(kind));
                        all.put("attention's keys" + name, AttentionSources.keys(kind, true, true));
                    }
                }
            }
        }
        int widest = AttentionSources.MAX_WIDTH;
        AttentionSources.Kind wide = new AttentionSources.Kind(AttentionSources.Tile.WIDE, widest, DType.F32, DType.F32, DType.F32,
                Optional.empty(), false);
        all.put("attention of " + widest + " features", AttentionSources.forward(wide));
        all.put("attention's queries of " + widest + " features", AttentionSources.query(wide));
        all.put("attention's keys of " + widest + " features", AttentionSources.keys(wide, true, false));
        all.put("attention's values of " + widest + " features", AttentionSources.keys(wide, false, true));
    }

    private static void programs(Map<String, KernelSource> all) {
        Expr x = Expr.input(0);
        Expr gelu = x.times(0.5).times(x.times(Math.sqrt(0.5)).erf().plus(1));
        Expr exp = x.minus(x.rowMax()).exp();
        Program softmax = Program.of(exp.over(exp.rowSum()));
        all.put("gelu", ProgramText.of(Program.of(gelu), DType.F32, 2, List.of(DType.BF16), List.of(DType.F16)));
        all.put("derivative of gelu", ProgramText.of(Program.of(Derivative.of(gelu, 1, Expr.of(1)).getFirst()), DType.F32, 2, List.of(DType.F32),
                List.of(DType.F32)));
        for (DType type : List.of(DType.F32, DType.F64)) {
            all.put("softmax of " + type, ProgramText.of(softmax, type, 2, List.of(type), List.of(type)));
        }
    }

    private static void primitives(Map<String, KernelSource> all) {
        for (DType type : List.of(DType.F32, DType.F64)) {
            all.put("sums down columns of " + type, PrimitiveTexts.reduceColumns(type, type, true));
            all.put("sums along rows of " + type, PrimitiveTexts.reduceRows(type, type, true));
            all.put("uniform of " + type, PrimitiveTexts.uniform(type));
            all.put("normal of " + type, PrimitiveTexts.normal(type));
        }
        all.put("copy", PrimitiveTexts.copy(DType.BF16, DType.BF16, 3));
        all.put("argmax", PrimitiveTexts.argmax(DType.BF16));
        all.put("gather", PrimitiveTexts.gather(DType.BF16, DType.I64, DType.F32));
        all.put("scatterAdd", PrimitiveTexts.scatterAdd(DType.F32, DType.F32));
    }

    private static void products(Map<String, KernelSource> all) {
        for (Tile tile : Tile.CHOICES) {
            all.put("product in " + tile, new Tiled(DType.F32, DType.BF16, DType.F32, tile, true, true, false, Weight.NUMBERS).source());
            all.put("vocabulary in " + tile, new Vocabulary(DType.F32, DType.BF16, tile, true, true, true, tile == Tile.SMALL).source());
        }
        all.put("vocabulary, one at a time", new Vocabulary(DType.F16, DType.F32, Tile.LARGE, false, false, false, true).source());
        all.put("product of F64", new Tiled(DType.F64, DType.F64, DType.F64, Tile.SMALL, false, false, false, Weight.NUMBERS).source());
        all.put("product of few rows", new Skinny(DType.F32, DType.BF16, DType.F32, ProductTexts.SKINNY_ROWS, true, true, Weight.NUMBERS).source());
        for (String format : List.of("Q4_K", Weight.NF4)) {
            Weight weight = new Weight(format);
            all.put("product with " + format, new Tiled(DType.F32, DType.U8, DType.F32, Tile.LARGE, true, true, true, weight).source());
            all.put("product of few rows with " + format, new Skinny(DType.F32, DType.U8, DType.F32, 1, true, true, weight).source());
            all.put("widening " + format, new Widened(weight, DType.F32, true).source());
        }
    }

    private static void norms(Map<String, KernelSource> all) {
        for (boolean layer : new boolean[] {false, true}) {
            String kind = layer ? "layer norm" : "rms norm";
            for (boolean other : new boolean[] {false, true}) {
                all.put(kind + ", residual " + other, DeviceNorm.rows(layer, other, LARGE_GROUP));
                all.put(kind + " backward, more " + other, DeviceNorm.backward(layer, other, true, !layer, LARGE_GROUP));
            }
            all.put(kind + " of short rows", DeviceNorm.rows(layer, true, SMALL_GROUP));
            all.put(kind + " backward of short rows", DeviceNorm.backward(layer, true, true, false, SMALL_GROUP));
            all.put(kind + ", gradient by the weight", DeviceNorm.weights(layer, true, layer));
        }
        all.put("rms norm backward, scales only", DeviceNorm.backward(false, false, false, true, LARGE_GROUP));
        all.put("layer norm, gradient by the bias", DeviceNorm.weights(true, false, true));
    }
}
