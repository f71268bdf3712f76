package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** What is bound by memory: F32 in, F32 out, through the calls that the tape makes. */
final class RowOperation implements Work {
    private static final Program CROSS_ENTROPY = Program.of(Formulas.CROSS_ENTROPY);
    private static final double EPS = 1e-5;
    /** Rows that are compared. */
    private static final long COMPARED = 64;

    private final Setting setting;
    private final String name;
    private final List<Tensor> inputs;
    private final List<Tensor> outputs;
    private final double bytes;
    private final double copyBandwidth;

    /**
     * @param name {@code copy}, {@code layer_norm}, {@code softmax_xent}, {@code rotary} or {@code adamw}
     * @param copyBandwidth TB/s of a copy on this device in this run; NaN where it was not measured
     */
    RowOperation(Setting setting, String name, double copyBandwidth) {
        this.setting = setting;
        this.name = name;
        this.copyBandwidth = copyBandwidth;
        Backend b = setting.backend();
        switch (name) {
            case "copy" -> {
                long n = setting.size(1L << 28, 1 << 12);
                inputs = List.of(noise(1, n));
                outputs = List.of(setting.poisoned(DType.F32, n));
            }
            case "layer_norm" -> {
                long rows = setting.size(16384, 70);
                long c = setting.size(4096, 96);
                inputs = List.of(noise(1, rows, c), noise(2, c), noise(3, c));
                outputs = List.of(setting.poisoned(DType.F32, rows, c), setting.poisoned(DType.F32, rows), setting.poisoned(DType.F32, rows));
            }
            case "softmax_xent" -> {
                long rows = setting.size(8192, 70);
                long v = setting.size(32768, 300);
                double[] labels = new double[(int) rows];
                Arrays.setAll(labels, i -> i * 7919L % v);
                inputs = List.of(noise(1, rows, v), Tensor.of(b, DType.F32, labels, rows, 1), Tensor.full(b, DType.F32, 1, rows, 1));
                outputs = List.of(setting.poisoned(DType.F32, rows, 1));
            }
            case "rotary" -> {
                long batch = setting.size(8, 2);
                long time = setting.size(2048, 40);
                long heads = setting.size(32, 4);
                long size = setting.size(128, 32);
                inputs = List.of(noise(1, batch, time, heads, size).transpose(1, 2), noise(2, 1, time, size / 2), noise(3, 1, time, size / 2));
                outputs = List.of(setting.poisoned(DType.F32, batch, time, heads, size).transpose(1, 2));
            }
            case "adamw" -> {
                long n = setting.size(1L << 26, 5000);
                inputs = List.of(noise(1, n));
                outputs = List.of(noise(2, n), Tensor.zeros(b, DType.F32, n), Tensor.zeros(b, DType.F32, n));
            }
            default -> throw new IllegalArgumentException("There is no operation on rows called '" + name + "'.");
        }
        double touched = 0;
        for (Tensor t : inputs) {
            touched += t.numel() * 4.0;
        }
        for (Tensor t : outputs) {
            // AdamW reads what it writes.
            touched += t.numel() * (name.equals("adamw") ? 8.0 : 4.0);
        }
        bytes = touched;
    }

    private Tensor noise(long stream, long... shape) {
        return setting.noise(DType.F32, 1, stream, shape);
    }

    /** One call. Every set is larger than a cache, so there is one. */
    @Override
    public void run(int set) {
        run(setting.backend(), inputs, outputs);
    }

    private void run(Backend b, List<Tensor> in, List<Tensor> out) {
        switch (name) {
            case "copy" -> b.copy(in.getFirst(), out.getFirst());
            case "layer_norm" -> b.kernel(NormKernel.class).orElseThrow().layerNorm(in.get(0), in.get(1), in.get(2), EPS, out.get(0), out.get(1),
                    out.get(2));
            case "softmax_xent" -> b.map(CROSS_ENTROPY, in.toArray(Tensor[]::new), out.toArray(Tensor[]::new));
            case "rotary" -> b.kernel(RotaryKernel.class).orElseThrow().rotate(in.get(0), in.get(1), in.get(2), false, false, out.get(0));
            default -> b.kernel(AdamWKernel.class).orElseThrow().step(out.get(0), in.get(0), out.get(1), out.get(2), 1e-3, 0.9, 0.999, 1e-8, 0.01, 1);
        }
    }

    /** The first and the last rows (or values), on the CPU. */
    @Override
    public Check check() {
        if (name.equals("adamw")) {
            // The state of its first step: zeros, and parameters that are only known before it.
            setting.backend().fill(outputs.get(1), 0);
            setting.backend().fill(outputs.get(2), 0);
        } else {
            outputs.forEach(setting::poison);
        }
        int axis = name.equals("rotary") ? 2 : 0;
        long n = outputs.getFirst().size(axis);
        List<List<Tensor>> in = new ArrayList<>();
        List<List<Tensor>> right = new ArrayList<>();
        for (long from : new long[] {0, n - Math.min(n, COMPARED)}) {
            long to = from + Math.min(n, COMPARED);
            in.add(part(inputs, axis, n, from, to));
            right.add(part(outputs, axis, n, from, to));
        }
        run(0);
        double error = 0;
        for (int i = 0; i < in.size(); i++) {
            run(Backends.cpu(), in.get(i), right.get(i));
            long from = i == 0 ? 0 : n - Math.min(n, COMPARED);
            for (int k = 0; k < outputs.size(); k++) {
                error = Math.max(error, Setting.error(outputs.get(k).slice(axis, from, from + Math.min(n, COMPARED)), right.get(i).get(k)));
            }
        }
        return outputs.stream().anyMatch(Setting::hasNaN) ? new Check(Double.NaN, 0) : new Check(error, Setting.tolerance(DType.F32));
    }

    /** Rows {@code from} to {@code to} of every operand that has them, on the CPU. */
    private List<Tensor> part(List<Tensor> operands, int axis, long n, long from, long to) {
        List<Tensor> out = new ArrayList<>();
        for (Tensor t : operands) {
            int at = t.rank() == 3 ? 1 : axis;
            boolean parameter = name.equals("layer_norm") && t.rank() == 1 && operands == inputs;
            out.add(Setting.here(parameter || t.size(at) != n ? t : t.slice(at, from, to)));
        }
        return out;
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        double bandwidth = bytes / micros / 1e6;
        return name.equals("copy") ? bandwidth : 100 * bandwidth / copyBandwidth;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", "F32");
        facts.put("bytes", bytes);
        return facts;
    }
}
