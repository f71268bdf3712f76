package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.kernels.NormKernel;
import java.util.Arrays;
import java.util.Optional;

/** Normalisation over the last axis. Epsilon lies inside the root. */
public final class Norms {
    private static final Expr X = Expr.input(0);
    private static final Expr WEIGHT = Expr.input(1);
    private static final Expr EPS = Expr.rowInput(2);

    private static final MapOp RMS = MapOp.of("rms_norm", 3,
            X.times(X.times(X).rowSum().over(rowLength()).plus(EPS).rsqrt()).times(WEIGHT));
    private static final MapOp PLAIN_LAYER = MapOp.of("layer_norm", 2, standardised(Expr.rowInput(1)));
    private static final MapOp LAYER =
            MapOp.of("layer_norm", 4, standardised(Expr.rowInput(3)).times(WEIGHT).plus(Expr.input(2)));

    private Norms() {}

    /** The number of elements of a row, whatever they are. */
    private static Expr rowLength() {
        return new Expr.Iota().ge(Expr.of(0)).rowSum();
    }

    /** Two passes (mean first), so that rows with a large offset keep their digits. */
    private static Expr standardised(Expr eps) {
        Expr n = rowLength();
        Expr centred = X.minus(X.rowSum().over(n));
        Expr variance = centred.times(centred).rowSum().over(n);
        return centred.times(variance.plus(eps).rsqrt());
    }

    /**
     * RMSNorm (arXiv 1910.07467): {@code x / sqrt(mean(x^2) + eps) weight}.
     *
     * @param x {@code [.., C]}
     * @param weight {@code [C]}
     */
    public static Var rmsNorm(Var x, Var weight, double eps) {
        checkWeight("rmsNorm", x, weight);
        Optional<NormKernel> kernel = x.backend().kernel(NormKernel.class);
        if (kernel.isEmpty() || !isF32(x) || !isF32(weight)) {
            return rmsNormDefinition(x, weight, eps);
        }
        Reads reads = Reads.inputs(0, 1).again(() -> rmsNorm(kernel.get(), x, weight, eps));
        return Fused.record("rms_norm", new Var[] {x, weight}, new Tensor[] {rmsNorm(kernel.get(), x, weight, eps)}, reads, (up, needed) -> {
            Tensor dx = needed[0] ? Tensor.empty(x.backend(), DType.F32, x.shape()) : null;
            Tensor dw = needed[1] ? Tensor.empty(x.backend(), DType.F32, weight.shape()) : null;
            kernel.get().rmsNormBackward(x.tensor().contiguous(), weight.tensor(), eps, up[0].contiguous(), Optional.empty(),
                    Optional.ofNullable(dx), Optional.ofNullable(dw));
            return new Tensor[] {dx, dw};
        }, in -> new Var[] {rmsNormDefinition(in[0], in[1], eps)})[0];
    }

    private static Tensor rmsNorm(NormKernel kernel, Var x, Var weight, double eps) {
        Tensor out = Tensor.empty(x.backend(), DType.F32, x.shape());
        kernel.rmsNorm(x.tensor().contiguous(), weight.tensor(), eps, out);
        return out;
    }

    /**
     * What a residual block hands on.
     *
     * @param sum {@code x + residual}
     * @param normed the normalised sum
     */
    public record Added(Var sum, Var normed) {
        private Var[] both() {
            return new Var[] {sum, normed};
        }
    }

    /**
     * {@code sum = x + residual} and {@link #rmsNorm} of it in one pass over memory; backwards, the gradient that
     * arrives at the sum joins the norm's in one pass too.
     *
     * @param x {@code [.., C]}
     * @param residual the same shape
     * @param weight {@code [C]}
     */
    public static Added addRmsNorm(Var x, Var residual, Var weight, double eps) {
        checkWeight("addRmsNorm", x, weight);
        checkResidual("addRmsNorm", x, residual);
        Optional<NormKernel> kernel = x.backend().kernel(NormKernel.class);
        if (kernel.isEmpty() || !isF32(x) || !isF32(residual) || !isF32(weight)) {
            return addRmsNormDefinition(x, residual, weight, eps);
        }
        Tensor sum = Tensor.empty(x.backend(), x.dtype(), x.shape());
        Tensor out = Tensor.empty(x.backend(), x.dtype(), x.shape());
        kernel.get().addRmsNorm(x.tensor().contiguous(), residual.tensor().contiguous(), weight.tensor(), eps, sum, out);
        Reads reads = Reads.inputs(2).andFirstOutput().again(() -> {
            Tensor y = Tensor.empty(x.backend(), DType.F32, x.shape());
            kernel.get().rmsNorm(sum, weight.tensor(), eps, y);
            return y;
        });
        Var[] both = Fused.record("add_rms_norm", new Var[] {x, residual, weight}, new Tensor[] {sum, out}, reads, (up, needed) -> {
            if (up[1] == null) {
                return new Tensor[] {up[0], up[0], null};
            }
            boolean input = needed[0] || needed[1];
            Tensor dx = input ? Tensor.empty(x.backend(), x.dtype(), x.shape()) : null;
            Tensor dw = needed[2] ? Tensor.empty(x.backend(), x.dtype(), weight.shape()) : null;
            kernel.get().rmsNormBackward(sum, weight.tensor(), eps, up[1].contiguous(), dense(up[0]), Optional.ofNullable(dx),
                    Optional.ofNullable(dw));
            return new Tensor[] {dx, dx, dw};
        }, in -> addRmsNormDefinition(in[0], in[1], in[2], eps).both());
        return new Added(both[0], both[1]);
    }

    /** {@link #addRmsNorm} in two operations. */
    public static Added addRmsNormDefinition(Var x, Var residual, Var weight, double eps) {
        Var sum = x.add(residual);
        return new Added(sum, rmsNormDefinition(sum, weight, eps));
    }

    /** RMSNorm in terms of one expression. */
    public static Var rmsNormDefinition(Var x, Var weight, double eps) {
        return RMS.apply(x, weight, x.scalarLike(eps));
    }

    /**
     * LayerNorm (arXiv 1607.06450): {@code (x - mean) / sqrt(variance + eps) weight + bias}, biased variance.
     *
     * @param x {@code [.., C]}
     * @param weight {@code [C]}
     * @param bias {@code [C]}
     */
    public static Var layerNorm(Var x, Var weight, Var bias, double eps) {
        checkWeight("layerNorm", x, weight);
        checkWeight("layerNorm", x, bias);
        Optional<NormKernel> kernel = x.backend().kernel(NormKernel.class);
        if (kernel.isEmpty() || !isF32(x) || !isF32(weight) || !isF32(bias)) {
            return layerNormDefinition(x, weight, bias, eps);
        }
        Tensor dense = x.tensor().contiguous();
        long rows = dense.numel() / Math.max(1, dense.size(-1));
        Tensor out = Tensor.empty(x.backend(), dense.dtype(), x.shape());
        Tensor mean = Tensor.empty(x.backend(), dense.dtype(), rows);
        Tensor scale = Tensor.empty(x.backend(), dense.dtype(), rows);
        kernel.get().layerNorm(dense, weight.tensor(), bias.tensor(), eps, out, mean, scale);
        // Mean and scale of each row stay; what is made of them can go.
        Reads reads = Reads.inputs(0, 1).again(() -> {
            Tensor y = Tensor.empty(x.backend(), DType.F32, x.shape());
            kernel.get().layerNorm(x.tensor().contiguous(), weight.tensor(), bias.tensor(), eps, y, mean, scale);
            return y;
        });
        return Fused.record("layer_norm", new Var[] {x, weight, bias}, new Tensor[] {out}, reads, (up, needed) -> {
            Tensor dx = needed[0] ? Tensor.empty(x.backend(), DType.F32, x.shape()) : null;
            Tensor dw = needed[1] ? Tensor.empty(x.backend(), DType.F32, weight.shape()) : null;
            Tensor db = needed[2] ? Tensor.empty(x.backend(), DType.F32, bias.shape()) : null;
            kernel.get().layerNormBackward(x.tensor().contiguous(), weight.tensor(), mean, scale, up[0].contiguous(),
                    Optional.empty(), Optional.ofNullable(dx), Optional.ofNullable(dw), Optional.ofNullable(db));
            return new Tensor[] {dx, dw, db};
        }, in -> new Var[] {layerNormDefinition(in[0], in[1], in[2], eps)})[0];
    }

    /**
     * {@code sum = x + residual} and {@link #layerNorm} of it, as {@link #addRmsNorm}.
     *
     * @param x {@code [.., C]}
     * @param residual the same shape
     * @param weight {@code [C]}
     * @param bias {@code [C]}
     */
    public static Added addLayerNorm(Var x, Var residual, Var weight, Var bias, double eps) {
        checkWeight("addLayerNorm", x, weight);
        checkWeight("addLayerNorm", x, bias);
        checkResidual("addLayerNorm", x, residual);
        Optional<NormKernel> kernel = x.backend().kernel(NormKernel.class);
        if (kernel.isEmpty() || !isF32(x) || !isF32(residual) || !isF32(weight) || !isF32(bias)) {
            return addLayerNormDefinition(x, residual, weight, bias, eps);
        }
        long rows = x.tensor().numel() / Math.max(1, x.size(-1));
        Tensor sum = Tensor.empty(x.backend(), x.dtype(), x.shape());
        Tensor out = Tensor.empty(x.backend(), x.dtype(), x.shape());
        Tensor mean = Tensor.empty(x.backend(), x.dtype(), rows);
        Tensor scale = Tensor.empty(x.backend(), x.dtype(), rows);
        kernel.get().addLayerNorm(x.tensor().contiguous(), residual.tensor().contiguous(), weight.tensor(), bias.tensor(), eps, sum,
                out, mean, scale);
        Var[] in = {x, residual, weight, bias};
        Var[] both = Fused.record("add_layer_norm", in, new Tensor[] {sum, out}, (up, needed) -> {
            if (up[1] == null) {
                return new Tensor[] {up[0], up[0], null, null};
            }
            boolean input = needed[0] || needed[1];
            Tensor dx = input ? Tensor.empty(x.backend(), x.dtype(), x.shape()) : null;
            Tensor dw = needed[2] ? Tensor.empty(x.backend(), x.dtype(), weight.shape()) : null;
            Tensor db = needed[3] ? Tensor.empty(x.backend(), x.dtype(), bias.shape()) : null;
            kernel.get().layerNormBackward(sum, weight.tensor(), mean, scale, up[1].contiguous(), dense(up[0]),
                    Optional.ofNullable(dx), Optional.ofNullable(dw), Optional.ofNullable(db));
            return new Tensor[] {dx, dx, dw, db};
        }, v -> addLayerNormDefinition(v[0], v[1], v[2], v[3], eps).both());
        return new Added(both[0], both[1]);
    }

    /** {@link #addLayerNorm} in two operations. */
    public static Added addLayerNormDefinition(Var x, Var residual, Var weight, Var bias, double eps) {
        Var sum = x.add(residual);
        return new Added(sum, layerNormDefinition(sum, weight, bias, eps));
    }

    /** LayerNorm in terms of one expression. */
    public static Var layerNormDefinition(Var x, Var weight, Var bias, double eps) {
        return LAYER.apply(x, weight, bias, x.scalarLike(eps));
    }

    /** LayerNorm without weight and bias. */
    public static Var layerNorm(Var x, double eps) {
        return PLAIN_LAYER.apply(x, x.scalarLike(eps));
    }

    private static boolean isF32(Var v) {
        return v.dtype() == DType.F32;
    }

    private static Optional<Tensor> dense(Tensor gradient) {
        return Optional.ofNullable(gradient).map(Tensor::contiguous);
    }

    private static void checkResidual(String op, Var x, Var residual) {
        if (!Arrays.equals(x.shape(), residual.shape())) {
            throw new IllegalArgumentException(op + " adds tensors of equal shape, got " + Arrays.toString(x.shape()) + " and "
                    + Arrays.toString(residual.shape()) + ". Stretch the smaller one with expandTo.");
        }
    }

    private static void checkWeight(String op, Var x, Var weight) {
        if (weight.rank() != 1 || x.rank() < 1 || weight.size(0) != x.size(-1)) {
            throw new IllegalArgumentException(op + " needs x [.., C] and weight [C], got " + Arrays.toString(x.shape())
                    + " and " + Arrays.toString(weight.shape()));
        }
    }
}
