package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Convolution;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.autograd.ops.QuantizedLinear;
import dev.jotune.autograd.ops.Rotary;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import dev.jotune.testing.conformance.QuantCases;
import java.util.List;
import java.util.Optional;

/** Norms, rotary embedding, products and losses, over odd sizes. */
final class FusedCases {
    private static final long[] SIZES = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65};

    private FusedCases() {}

    static void add(List<Case> all) {
        for (long n : SIZES) {
            all.add(KernelConformance.of("rmsNorm/" + n, in -> rms(in, in.parameter(2, 3, n), in.parameter(n))));
            all.add(KernelConformance.of("addRmsNorm/" + n, in -> addRms(in, in.parameter(2, 3, n), in.parameter(2, 3, n), in.parameter(n))));
            all.add(KernelConformance.of("addLayerNorm/" + n, in ->
                    addLayer(in, in.parameter(2, 3, n), in.parameter(2, 3, n), in.parameter(n))));
            all.add(KernelConformance.of("layerNorm/" + n, in -> layer(in, in.parameter(2, 3, n), in.parameter(n))));
            all.add(KernelConformance.of("swiglu/" + n, in ->
                    one(Activations.swiglu(in.parameter(3, n), in.parameter(3, n)))));
            all.add(KernelConformance.of("gelu/" + n, in -> one(Activations.gelu(in.parameter(3, n)))));
            all.add(KernelConformance.of("silu/" + n, in -> one(Activations.silu(in.parameter(3, n)))));
            all.add(KernelConformance.of("geluTanh/" + n, in -> one(Activations.geluTanh(in.parameter(3, n)))));
            all.add(KernelConformance.of("geglu/" + n, in -> one(Activations.gegluTanh(in.parameter(3, n), in.parameter(3, n)))));
            all.add(KernelConformance.of("logSoftmax/" + n, in -> one(Softmax.logSoftmax(in.parameter(3, n)))));
            all.add(KernelConformance.of("softmax/" + n, in -> one(Softmax.softmax(in.parameter(3, n)))));
            all.add(KernelConformance.of("linear/" + n, in ->
                    one(Linear.apply(in.parameter(2, 3, n), in.parameter(5, n), in.parameter(5)))));
            all.add(KernelConformance.of("linear/bf16 " + n, in -> narrow(in, in.parameter(2, 3, n), in.parameter(5, n))));
            all.add(KernelConformance.of("linear/bf16 frozen " + n,
                    in -> narrow(in, in.parameter(2, 3, n), Var.constant(in.normal(5, n)))));
            all.add(KernelConformance.of("embedding/" + n, in -> one(Embedding.lookup(in.parameter(4, n),
                    Tensor.of(in.backend(), new long[] {1, 1, 3, 0, 1}, 5)))));
            all.add(KernelConformance.of("crossEntropy/" + n, in ->
                    one(CrossEntropy.apply(in.parameter(4, n), labels(in, n)))));
            all.add(KernelConformance.of("linearCrossEntropy/" + n, in -> linear(in, n, 9, Options.MEAN)));
            all.add(KernelConformance.of("linearCrossEntropy/hidden size " + n, in -> linear(in, 11, n, Options.SUM)));
        }
        all.add(KernelConformance.of("rmsNorm/no rows", in -> rms(in, in.parameter(0, 9), in.parameter(9))));
        all.add(KernelConformance.of("rmsNorm/many rows", in -> rms(in, in.parameter(300, 40), in.parameter(40))));
        all.add(KernelConformance.of("rmsNorm/not dense", in ->
                rms(in, in.parameter(6, 5).transpose(0, 1), in.parameter(6))));
        all.add(KernelConformance.of("rmsNorm/frozen weight",
                in -> rms(in, in.parameter(4, 17), Var.constant(in.normal(17)))));
        all.add(KernelConformance.of("rmsNorm/frozen rows",
                in -> rms(in, Var.constant(in.normal(4, 17)), in.parameter(17))));
        all.add(KernelConformance.of("layerNorm/no rows", in -> layer(in, in.parameter(0, 9), in.parameter(9))));
        all.add(KernelConformance.of("layerNorm/frozen weight", in -> layer(in, in.parameter(4, 17), Var.constant(in.normal(17)))));
        all.add(KernelConformance.of("layerNorm/not dense", in -> layer(in, in.parameter(6, 5).transpose(0, 1), in.parameter(6))));
        all.add(KernelConformance.of("addRmsNorm/only the norm is used", in ->
                one(addRms(in, in.parameter(4, 17), in.parameter(4, 17), in.parameter(17))[1])));
        all.add(KernelConformance.of("addRmsNorm/only the sum is used", in ->
                one(addRms(in, in.parameter(4, 17), in.parameter(4, 17), in.parameter(17))[0])));
        all.add(KernelConformance.of("addLayerNorm/only the sum is used", in ->
                one(addLayer(in, in.parameter(4, 17), in.parameter(4, 17), in.parameter(17))[0])));
        all.add(KernelConformance.of("addRmsNorm/frozen residual, not dense", in ->
                addRms(in, in.parameter(6, 5).transpose(0, 1), Var.constant(in.normal(5, 6)), in.parameter(6))));
        all.add(KernelConformance.of("addLayerNorm/the same twice", in -> {
            Var x = in.parameter(5, 33);
            return addLayer(in, x, x, Var.constant(in.normal(33)));
        }));
        for (long groups : new long[] {1, 2, 6}) {
            all.add(KernelConformance.of("convolution/time, groups " + groups, in -> one(Convolution.conv1d(in.parameter(2, 6, 19),
                    in.parameter(12, 6 / groups, 3), Optional.of(in.parameter(12)), 2, 1, 1, groups))));
            all.add(KernelConformance.of("convolution/image, groups " + groups, in -> one(Convolution.conv2d(in.parameter(2, 6, 9, 11),
                    in.parameter(6, 6 / groups, 3, 2), Optional.empty(), new long[] {1, 2}, new long[] {1, 0}, new long[] {2, 1},
                    groups))));
        }
        for (BlockFormat format : BlockFormat.values()) {
            all.add(KernelConformance.of("quantizedLinear/" + format, in ->
                    quantized(in, QuantCases.random(in.backend(), format, 33, 2L * format.elements()))));
        }
        all.add(KernelConformance.of("quantizedLinear/NF4", in -> quantized(in, Nf4Matrix.quantize(in.normal(19, 77)))));
        // More than fits into one block of widened rows.
        all.add(KernelConformance.of("quantizedLinear/many rows", in -> quantized(in, Nf4Matrix.quantize(in.normal(3000, 512)))));
        for (Rotary.Layout layout : Rotary.Layout.values()) {
            for (long d : new long[] {2, 4, 6, 14, 16, 18, 34, 64, 66}) {
                all.add(KernelConformance.of("rotary/" + layout + " " + d, in ->
                        rotary(in, in.parameter(2, 3, 5, d), 2, d / 2, layout)));
                all.add(KernelConformance.of("rotary/part of " + layout + " " + d,
                        in -> rotary(in, in.heads(2, 3, 5, d + 3), 1, d / 2, layout)));
            }
        }
    }

    private static Var[] one(Var v) {
        return new Var[] {v};
    }

    private static Var[] narrow(Inputs in, Var x, Var weight) {
        return one(in.definition() ? Linear.definition(x, weight) : Linear.apply(x, weight, Precision.BF16));
    }

    private static Var[] quantized(Inputs in, QuantizedMatrix weight) {
        Var x = in.parameter(2, 3, weight.columns());
        return one(in.definition() ? QuantizedLinear.definition(x, weight) : QuantizedLinear.apply(x, weight));
    }

    static Var[] rms(Inputs in, Var x, Var weight) {
        return one(in.definition() ? Norms.rmsNormDefinition(x, weight, 1e-5) : Norms.rmsNorm(x, weight, 1e-5));
    }

    static Var[] layer(Inputs in, Var x, Var weight) {
        Var bias = in.parameter(weight.size(0));
        return one(in.definition() ? Norms.layerNormDefinition(x, weight, bias, 1e-5) : Norms.layerNorm(x, weight, bias, 1e-5));
    }

    static Var[] addRms(Inputs in, Var x, Var residual, Var weight) {
        Norms.Added a = in.definition() ? Norms.addRmsNormDefinition(x, residual, weight, 1e-5) : Norms.addRmsNorm(x, residual, weight, 1e-5);
        return new Var[] {a.sum(), a.normed()};
    }

    static Var[] addLayer(Inputs in, Var x, Var residual, Var weight) {
        Var bias = in.parameter(weight.size(0));
        Norms.Added a = in.definition() ? Norms.addLayerNormDefinition(x, residual, weight, bias, 1e-5)
                : Norms.addLayerNorm(x, residual, weight, bias, 1e-5);
        return new Var[] {a.sum(), a.normed()};
    }

    static Var[] rotary(Inputs in, Var x, long batch, long half, Rotary.Layout layout) {
        Tensor cos = in.values(i -> Math.cos(0.7 * i), batch, x.size(2), half);
        Tensor sin = in.values(i -> Math.sin(0.7 * i), batch, x.size(2), half);
        return one(in.definition() ? Rotary.definition(x, cos, sin, layout, false) : Rotary.apply(x, cos, sin, layout));
    }

    static Tensor labels(Inputs in, long classes) {
        return Tensor.of(in.backend(), new long[] {classes - 1, -100, 0, classes / 2}, 4);
    }

    static Var[] linear(Inputs in, long classes, long hidden, Options options) {
        Var x = in.parameter(4, hidden);
        Var w = in.parameter(classes, hidden);
        Tensor labels = labels(in, classes);
        return one(in.definition() ? LinearCrossEntropy.definition(x, w, labels, options)
                : LinearCrossEntropy.apply(x, w, labels, options, 2));
    }
}
