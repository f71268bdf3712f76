package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TorchRandom;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * VeRA: Vector-based Random Matrix Adaptation (Kopiczko et al., arXiv 2310.11454).
 *
 * <p>{@code W' = W + diag(b) B diag(d) A}: one pair of frozen random matrices {@code A [r, in]} and {@code B [out, r]} for
 * all layers, of which a smaller layer takes the first columns and rows, and two vectors of each layer's own. b starts
 * at 0, d at {@code d_initial}. Trainable: {@code out + r} for each target.
 *
 * @param r rank
 * @param dInitial where d starts
 * @param veraDropout on the input of A, while training
 * @param projectionPrngKey seed of A and B
 * @param saveProjection whether the adapter's file holds A and B; if not they are made again from the seed
 * @param targetModules which linear layers
 * @param layersToTransform only these layers; empty for all
 * @param layersPattern the name of the list of layers, if not the first numbered one
 * @param bias {@code none}, {@code all} or {@code vera_only}: which of the model's biases train along
 * @param initWeights false: d starts normal and b at 1
 * @param modulesToSave modules trained whole
 */
public record Vera(int r, double dInitial, double veraDropout, long projectionPrngKey, boolean saveProjection,
        Targets targetModules, List<Integer> layersToTransform, List<String> layersPattern, String bias, boolean initWeights,
        List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults. */
    public static final Vera DEFAULTS = new Vera(256, 0.1, 0, 0, true, Targets.DEFAULT, List.of(), List.of(), "none", true,
            List.of());

    @Override
    public String peftType() {
        return "VERA";
    }

    @Override
    public Vera on(Backbone model) {
        return !targetModules.isDefault() ? this : new Vera(r, dInitial, veraDropout, projectionPrngKey, saveProjection,
                Targets.of(model), layersToTransform, layersPattern, bias, initWeights, modulesToSave);
    }

    @Override
    public Vera withModulesToSave(List<String> modules) {
        return new Vera(r, dInitial, veraDropout, projectionPrngKey, saveProjection, targetModules,
                layersToTransform, layersPattern, bias, initWeights, modules);
    }

    @Override
    public String changesAtStart() {
        return initWeights ? "" : "init_weights false starts the vectors at random";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("r", r);
        Require.dropout("vera_dropout", veraDropout);
        List<LinearLayer> targets = a.linears(targetModules, Optional.empty(), layersToTransform, layersPattern);
        long in = targets.stream().mapToLong(LinearLayer::in).max().orElseThrow();
        long out = targets.stream().mapToLong(LinearLayer::out).max().orElseThrow();
        TorchRandom random = new TorchRandom(projectionPrngKey);
        // In this order: both come from one generator.
        Tensor noiseA = saveProjection && a.isLoading() ? null : kaiming(a, random, r, in);
        Tensor noiseB = saveProjection && a.isLoading() ? null : kaiming(a, random, out, r);
        Var sharedA = shared(a, Attachment.UNWRAPPED + "vera_A", noiseA, r, in);
        Var sharedB = shared(a, Attachment.UNWRAPPED + "vera_B", noiseB, out, r);
        for (LinearLayer layer : targets) {
            String key = Attachment.key(layer.path());
            Var b = a.trainable(key + ".vera_lambda_b", Init.constant(initWeights ? 0 : 1), layer.out());
            Var d = a.trainable(key + ".vera_lambda_d", initWeights ? Init.constant(dInitial) : Init.normal(1), r);
            a.project(layer, new Factors(sharedA.slice(1, 0, layer.in()), sharedB.slice(0, 0, layer.out()), d, b, veraDropout));
        }
        a.biases(bias, "vera_only", targets);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private Var shared(Attachment a, String key, Tensor noise, long... shape) {
        return saveProjection ? a.fixed(key, Init.copyOf(noise), shape) : Var.constant(noise);
    }

    /** Uniform with deviation sqrt(2 / fan in), from PyTorch's generator: another program makes the same of the same seed. */
    private static Tensor kaiming(Attachment a, TorchRandom random, long rows, long columns) {
        float bound = (float) (Math.sqrt(3) * (Math.sqrt(2) / Math.sqrt(columns)));
        double[] values = new double[Math.toIntExact(rows * columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.uniform(-bound, bound);
        }
        return Scope.detach(Tensor.of(a.model().backend(), a.model().computeType(), values, rows, columns));
    }

    /** The shared matrices as one layer sees them, and its vectors. */
    private record Factors(Var a, Var b, Var d, Var lambdaB, double dropout) implements Projection {
        /** {@code y = W x + b * (B (d * (A x)))}. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var in = pass.training() ? Dropout.apply(x, dropout, pass.seed(), pass.stream(layer.path())) : x;
            return inner.apply(x).add(Linear.apply(Linear.apply(in, a).mul(d), b).mul(lambdaB));
        }

        /** {@code W' = W + diag(b) B diag(d) A}. */
        @Override
        public Var weight(Var w) {
            return w.add(b.mul(lambdaB.reshape(-1, 1)).matmul(a.mul(d.reshape(-1, 1))));
        }
    }
}
