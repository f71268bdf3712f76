package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Every text of this package in the instances that differ most, by a name for reports: what checks of all kernels walk over. Who
 * writes a kernel adds its smallest and its largest instance here.
 */
public final class KernelTexts {
    private static final int LARGE_GROUP = 256;

    private KernelTexts() {}

    /** All instances. */
    public static Map<String, KernelSource> all() {
        Map<String, KernelSource> all = new LinkedHashMap<>();
        programs(all);
        norms(all);
        all.put("rotary", DeviceRotary.HALVES);
        all.put("rotary, interleaved", DeviceRotary.INTERLEAVED);
        all.put("adamw", DeviceAdamW.SOURCE);
        all.put("top k", DeviceTopK.SOURCE);
        for (int states : new int[] {1, 16, ScanTexts.MOST_STATES}) {
            for (boolean backward : new boolean[] {false, true}) {
                all.put("scan ends, " + states + " states, backward " + backward, ScanTexts.ends(states, backward));
                all.put("scan carry, " + states + " states, backward " + backward, ScanTexts.carry(states, backward));
            }
            all.put("scan outputs, " + states + " states", ScanTexts.outputs(states));
            all.put("scan gradients, " + states + " states", ScanTexts.gradients(states));
        }
        return all;
    }

    private static void programs(Map<String, KernelSource> all) {
        Expr x = Expr.input(0);
        Expr gelu = x.times(0.5).times(x.times(Math.sqrt(0.5)).erf().plus(1));
        Expr exp = x.minus(x.rowMax()).exp();
        List<Program> programs = List.of(Program.of(gelu), Program.of(Derivative.of(gelu, 1, Expr.of(1)).getFirst()), Program.of(exp.over(exp.rowSum())));
        for (DType type : List.of(DType.F32, DType.BF16, DType.F16, DType.F64)) {
            for (int i = 0; i < programs.size(); i++) {
                DType arithmetic = type == DType.F64 ? DType.F64 : DType.F32;
                all.put("program " + i + " of " + type, ProgramText.of(programs.get(i), arithmetic, 2, List.of(type), List.of(type)));
            }
        }
    }

    private static void norms(Map<String, KernelSource> all) {
        for (boolean layer : new boolean[] {false, true}) {
            String kind = layer ? "layer norm" : "rms norm";
            for (boolean other : new boolean[] {false, true}) {
                all.put(kind + ", residual " + other, DeviceNorm.rows(layer, other, LARGE_GROUP));
                all.put(kind + " backward, more " + other, DeviceNorm.backward(layer, other, true, !layer, LARGE_GROUP));
            }
            all.put(kind + " of short rows", DeviceNorm.rows(layer, true, 32));
            all.put(kind + " backward of short rows", DeviceNorm.backward(layer, true, true, false, 32));
            all.put(kind + ", gradient by the weight", DeviceNorm.weights(layer, true, layer));
        }
        all.put("rms norm backward, scales only", DeviceNorm.backward(false, false, false, true, LARGE_GROUP));
        all.put("layer norm, gradient by the bias", DeviceNorm.weights(true, false, true));
    }
}
