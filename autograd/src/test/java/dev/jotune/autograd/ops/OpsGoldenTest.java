package dev.jotune.autograd.ops;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import dev.jotune.testing.GoldenCheck;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The golden suite {@code ops}: in F64 on the reference backend, in F32 on the default one. */
@Tag("golden")
class OpsGoldenTest {
    /** What OptimGoldenTest runs. */
    private static final Set<String> ELSEWHERE = Set.of("optimisers", "schedules", "gradient_clipping");

    /** Checks without numbers, which only say in words where torch gives NaN. */
    private static final Set<String> REMARKS = Set.of("all_minus_inf", "all_ignored");

    @TestFactory
    Stream<DynamicTest> inDoublePrecision() {
        return tests("reference", DType.F64);
    }

    @TestFactory
    Stream<DynamicTest> inSinglePrecision() {
        return tests("cpu", DType.F32);
    }

    private static Stream<DynamicTest> tests(String backend, DType type) {
        return Golden.cases("ops").filter(c -> !ELSEWHERE.contains(c.id())).flatMap(c -> c.checks().stream()
                .filter(check -> !REMARKS.contains(check.get("name").asText()))
                .map(check -> DynamicTest.dynamicTest(c.id() + "/" + check.get("name").asText(),
                        () -> run(c.id(), new GoldenCheck(c, check, Backends.get(backend), type)))));
    }

    private static void run(String id, GoldenCheck check) {
        switch (id) {
            case "norms" -> check.compare(norm(check));
            case "activations" -> check.compare(activation(check));
            case "softmax" -> check.compare(softmax(check));
            case "losses" -> check.compare(loss(check));
            case "rope" -> check.compare(rope(check));
            case "attention" -> AttentionGolden.run(check);
            case "embedding" -> check.compare(embedding(check));
            case "selective_scan" -> selectiveScan(check);
            case "convolution" -> check.compare(convolution(check));
            default -> throw new AssertionError("Nothing here knows the case " + id
                    + ". Add it, or list it as elsewhere.");
        }
    }

    private static Var norm(GoldenCheck c) {
        double eps = c.setting("eps", Double.NaN);
        if (c.name().startsWith("rms_norm")) {
            Var weight = c.input("weight");
            return Norms.rmsNorm(c.input("x"), c.name().endsWith("offset") ? weight.add(1) : weight, eps);
        }
        return c.has("weight") ? Norms.layerNorm(c.input("x"), c.input("weight"), c.input("bias"), eps)
                : Norms.layerNorm(c.input("x"), eps);
    }

    private static Var activation(GoldenCheck c) {
        String name = c.name().replace("_tails", "");
        return switch (name) {
            case "gelu" -> Activations.gelu(c.input("x"));
            case "gelu_tanh" -> Activations.geluTanh(c.input("x"));
            case "quick_gelu" -> Activations.quickGelu(c.input("x"));
            case "silu" -> Activations.silu(c.input("x"));
            case "sigmoid" -> Activations.sigmoid(c.input("x"));
            case "tanh" -> Activations.tanh(c.input("x"));
            case "softplus" -> Activations.softplus(c.input("x"));
            case "log_sigmoid" -> Activations.logSigmoid(c.input("x"));
            case "relu" -> Activations.relu(c.input("x"));
            case "relu_squared" -> Activations.reluSquared(c.input("x"));
            case "leaky_relu" -> Activations.leakyRelu(c.input("x"));
            case "elu" -> Activations.elu(c.input("x"));
            case "mish" -> Activations.mish(c.input("x"));
            case "hard_sigmoid" -> Activations.hardSigmoid(c.input("x"));
            case "swiglu" -> Activations.swiglu(c.input("gate"), c.input("up"));
            case "geglu_tanh" -> Activations.gegluTanh(c.input("gate"), c.input("up"));
            default -> throw new AssertionError("There is no activation " + name + ".");
        };
    }

    private static Var softmax(GoldenCheck c) {
        Var x = c.input("x");
        if (c.name().startsWith("log_sum_exp")) {
            return Softmax.logSumExp(x);
        }
        if (c.name().startsWith("log_softmax")) {
            return Softmax.logSoftmax(x);
        }
        return c.name().endsWith("middle_axis") ? Softmax.softmax(x, 1) : Softmax.softmax(x);
    }

    private static Var loss(GoldenCheck c) {
        if (c.has("x")) {
            return pairLoss(c, c.input("x"));
        }
        Var logits = c.input("logits");
        if (c.name().startsWith("soft_labels")) {
            return CrossEntropy.soft(logits, c.input("labels"));
        }
        Tensor labels = c.tensor("labels");
        Options options = switch (c.name()) {
            case "none" -> Options.NONE;
            case "sum", "smoothing_sum" -> Options.SUM;
            default -> Options.MEAN;
        };
        options = options.withLabelSmoothing(c.setting("label_smoothing", 0))
                .withIgnoreIndex((long) c.setting("ignore_index", CrossEntropy.IGNORE_INDEX));
        if (c.has("weight")) {
            options = options.withClassWeights(c.tensor("weight"));
        }
        if (c.settings().has("num_items_in_batch")) {
            options = options.withNumItems(c.setting("num_items_in_batch", 0));
        }
        if (logits.rank() == 3) {
            return CrossEntropy.apply(logits.reshape(-1, logits.size(2)), CrossEntropy.nextTokenLabels(labels)
                    .reshape(-1), options);
        }
        return CrossEntropy.apply(logits, labels, options);
    }

    private static Var pairLoss(GoldenCheck c, Var x) {
        return switch (c.name()) {
            case "mse" -> Losses.mse(x, c.input("y"));
            case "huber" -> Losses.huber(x, c.input("y"), c.setting("beta", Double.NaN));
            case "bce_logits" -> Losses.bceWithLogits(x, c.input("y"), c.setting("pos_weight", 1));
            case "kl_batchmean", "kl_temperature" -> Losses.klDivergence(x, c.input("y"), c.setting("tau", 1));
            case "cosine" -> Losses.cosine(x, c.input("y"), 1e-8);
            default -> throw new AssertionError("There is no loss " + c.name() + ".");
        };
    }

    private static Var rope(GoldenCheck c) {
        if (c.has("weight")) {
            return Var.constant(Rotary.toHalfLayout(c.tensor("weight"), (long) c.setting("heads", 0)));
        }
        Tensor positions = c.tensor("positions");
        long[] p = positions.toLongArray();
        int half = (int) c.setting("rotary_features", 0) / 2;
        double[] cos = new double[p.length * half];
        double[] sin = new double[p.length * half];
        for (int i = 0; i < cos.length; i++) {
            double angle = p[i / half] * Math.pow(c.setting("theta", 0), -(i % half) / (double) half);
            cos[i] = Math.cos(angle);
            sin[i] = Math.sin(angle);
        }
        long[] shape = {positions.size(0), positions.size(1), half};
        return Rotary.apply(c.input("x"), Tensor.of(c.backend(), c.type(), cos, shape),
                Tensor.of(c.backend(), c.type(), sin, shape),
                c.name().startsWith("half") ? Rotary.Layout.HALF : Rotary.Layout.INTERLEAVED);
    }

    private static Var embedding(GoldenCheck c) {
        return switch (c.name()) {
            case "embedding" -> Embedding.lookup(c.input("table"), c.tensor("ids"));
            case "embedding_padding_idx" ->
                Embedding.lookup(c.input("table"), c.tensor("ids"), (long) c.setting("padding_idx", -1));
            case "tied_head" -> Linear.apply(Embedding.lookup(c.input("table"), c.tensor("ids")), c.input("table"));
            case "gather" -> Lookup.alongLast(c.input("x"), c.tensor("index"));
            case "scatter_add" -> scatterAdd(c);
            default -> throw new AssertionError("There is no look-up " + c.name() + ".");
        };
    }

    /** Along axis 0, element by element: every element is a row of one number in a flat table. */
    private static Var scatterAdd(GoldenCheck c) {
        Var source = c.input("src");
        long columns = source.size(1);
        long[] index = c.tensor("index").toLongArray();
        for (int i = 0; i < index.length; i++) {
            index[i] = index[i] * columns + i % columns;
        }
        Tensor flat = Tensor.of(c.backend(), index, index.length);
        long rows = c.tensor("upstream.output").size(0);
        return Lookup.scatterAdd(source.reshape(-1, 1), flat, rows * columns).reshape(rows, columns);
    }

    private static Var convolution(GoldenCheck c) {
        Var x = c.input("x");
        if (!c.has("weight")) {
            Tensor like = c.tensor("upstream.output");
            return Resize.apply(x, like.size(2), like.size(3), Resize.Method.valueOf(c.name().toUpperCase(Locale.ROOT)));
        }
        Var w = c.input("weight");
        Optional<Var> bias = c.has("bias") ? Optional.of(c.input("bias")) : Optional.empty();
        long groups = (long) c.setting("groups", 1);
        if (c.name().startsWith("conv1d_causal_silu")) {
            return Activations.silu(Convolution.conv1d(x.pad(2, w.size(2) - 1, 0), w, bias, 1, 0, 1, x.size(1)));
        }
        long[] stride = pair(c.settings().path("stride"), 1);
        long[] padding = pair(c.settings().path("padding"), 0);
        long[] dilation = pair(c.settings().path("dilation"), 1);
        return c.name().startsWith("conv1d") ? Convolution.conv1d(x, w, bias, stride[0], padding[0], dilation[0], groups)
                : Convolution.conv2d(x, w, bias, stride, padding, dilation, groups);
    }

    /** A setting for height and width: one number for both, or two. */
    private static long[] pair(JsonNode setting, long otherwise) {
        return setting.isArray() ? new long[] {setting.get(0).asLong(), setting.get(1).asLong()}
                : new long[] {setting.asLong(otherwise), setting.asLong(otherwise)};
    }

    private static void selectiveScan(GoldenCheck c) {
        Var dt = Activations.softplus(c.input("dt"));
        Var a = c.input("A_log").exp().neg();
        Var state = c.has("state") ? c.input("state")
                : Var.constant(Tensor.zeros(c.backend(), c.type(), dt.size(0), a.size(0), a.size(1)));
        SelectiveScan.Result r = SelectiveScan.apply(c.input("x"), dt, a, c.input("Bmat"), c.input("Cmat"), c.input("D"), state);
        c.compare(Map.of("output", r.out(), "final_state", r.state()));
    }
}
