package dev.jotune.jmh.gpu;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** The loss of a language model's head, {@code crossEntropy(h W^T, labels)}, without logits of the whole batch; with the gradients of both. */
final class VocabularyLoss implements Work {
    /** Rows of the batch, and of W, that are compared. */
    private static final int COMPARED = 16;

    private final Setting setting;
    private final boolean both;
    private final long rows;
    private final long classes;
    private final Tensor hidden;
    private final Tensor weight;
    private final Tensor labels;
    private final long[] y;

    VocabularyLoss(Setting setting, boolean both, long rows, long features, long classes) {
        this.setting = setting;
        this.both = both;
        this.rows = rows;
        this.classes = classes;
        hidden = setting.noise(DType.F32, 1, 1, rows, features);
        weight = setting.noise(DType.BF16, 0.02, 2, classes, features);
        y = new long[(int) rows];
        Arrays.setAll(y, i -> i * 7919L % classes);
        labels = Tensor.of(setting.backend(), y, rows);
    }

    private static Tensor losses(Tensor hidden, Tensor weight, Tensor labels, CrossEntropy.Options options) {
        return Recording.off(() -> LinearCrossEntropy.apply(Var.constant(hidden), Var.constant(weight), labels, options, Precision.BF16)).tensor();
    }

    /** By hidden and weight. */
    private static List<Tensor> gradients(Tensor hidden, Tensor weight, Tensor labels) {
        Var h = Var.parameter(hidden);
        Var w = Var.parameter(weight);
        return Gradients.of(LinearCrossEntropy.apply(h, w, labels, CrossEntropy.Options.MEAN, Precision.BF16), List.of(h, w));
    }

    @Override
    public void run(int set) {
        if (both) {
            gradients(hidden, weight, labels);
        } else {
            losses(hidden, weight, labels, CrossEntropy.Options.MEAN);
        }
    }

    /**
     * The first rows' losses and their gradients, over all classes, on the CPU. The gradients of W sum over all rows: those of the first
     * classes are {@code sum_m (p_m - [label = class]) h_m / M} with p from the losses, which were compared before.
     */
    @Override
    public Check check() {
        int n = (int) Math.min(COMPARED, rows);
        Tensor all = losses(hidden, weight, labels, CrossEntropy.Options.NONE);
        Tensor w = weight.to(Backends.cpu());
        Tensor h = Setting.here(hidden.slice(0, 0, n));
        Tensor some = labels.slice(0, 0, n).contiguous().to(Backends.cpu());
        double error = Setting.error(all.slice(0, 0, n), losses(h, w, some, CrossEntropy.Options.NONE));
        double[] row = Setting.here(all).toDoubleArray();
        double mean = losses(hidden, weight, labels, CrossEntropy.Options.MEAN).item();
        error = Math.max(error, Math.abs(mean / Arrays.stream(row).average().orElseThrow() - 1));
        if (both) {
            List<Tensor> grads = gradients(hidden, weight, labels);
            Tensor right = gradients(h, w, some).getFirst();
            double[] scaled = right.toDoubleArray();
            // The mean there is over fewer rows.
            Arrays.setAll(scaled, i -> scaled[i] * n / rows);
            error = Math.max(error, Setting.error(grads.getFirst().slice(0, 0, n), Tensor.of(Backends.cpu(), DType.F32, scaled, right.shape())));
            error = Math.max(error, Setting.error(grads.get(1).slice(0, 0, n), weightGradient(n, row)));
        }
        // The losses are of sums in F32 over operands rounded alike on both sides; gradients are rounded once more.
        return new Check(error, both ? 2 * Setting.tolerance(DType.BF16) : Setting.tolerance(DType.BF16) / 2);
    }

    private Tensor weightGradient(int n, double[] losses) {
        Tensor h = Setting.here(hidden);
        double[] logits = products(h, Setting.here(weight.slice(0, 0, n))).toDoubleArray();
        Tensor own = Tensor.empty(setting.backend(), DType.F32, hidden.shape());
        setting.backend().gather(weight, labels, own);
        double[] x = h.toDoubleArray();
        double[] target = Setting.here(own).toDoubleArray();
        int features = (int) hidden.size(1);
        double[] p = new double[(int) rows * n];
        for (int m = 0; m < rows; m++) {
            double logit = 0;
            for (int k = 0; k < features; k++) {
                logit += x[m * features + k] * target[m * features + k];
            }
            for (int c = 0; c < n; c++) {
                p[m * n + c] = (Math.exp(logits[m * n + c] - losses[m] - logit) - (y[m] == c ? 1 : 0)) / rows;
            }
        }
        Tensor up = Tensor.of(Backends.cpu(), DType.F32, p, rows, n);
        Tensor out = Tensor.empty(Backends.cpu(), DType.F32, n, features);
        Backends.cpu().matmul(up.transpose(0, 1), h, out, false);
        return out;
    }

    private static Tensor products(Tensor a, Tensor b) {
        Tensor out = Tensor.empty(Backends.cpu(), DType.F32, a.size(0), b.size(0));
        Backends.cpu().matmul(a, b.transpose(0, 1), out, false);
        return out;
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return micros / 1e3;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", "F32 hidden states, BF16 weight and products");
        facts.put("flops", (both ? 8.0 : 2.0) * rows * hidden.size(1) * classes);
        facts.put("logits_bytes", 4.0 * rows * classes);
        return facts;
    }
}
