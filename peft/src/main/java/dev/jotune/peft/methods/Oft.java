package dev.jotune.peft.methods;

import dev.jotune.autograd.Inverse;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * OFT: Controlling Text-to-Image Diffusion by Orthogonal Finetuning (Qiu et al., arXiv 2306.07280), in the form that turns
 * a layer's input (Orthogonal Finetuning Made Scalable, Qiu et al., arXiv 2506.19847).
 *
 * <p>{@code y = W R^T x}, {@code W' = W R^T}, with R block-diagonal and orthogonal: block k is the Cayley transform
 * {@code R_k = (I - Q_k)(I + Q_k)^-1} of a skew-symmetric {@code Q_k [b, b]}, of which the upper triangle is trained. It starts
 * at 0, so that {@code R = I}. Trainable: {@code (in / b) b (b - 1) / 2} for each target; one block's worth if shared.
 *
 * @param r blocks of each layer; 0 if {@code oftBlockSize} says
 * @param oftBlockSize b; 0 if {@code r} says. What does not divide a layer's inputs is moved to the nearest that does
 * @param moduleDropout noted in adapters that PEFT saved; it never acts there either
 * @param bias {@code none}, {@code all} or {@code oft_only}: which of the model's biases train along
 * @param initWeights false: starts normal with deviation 0.1
 * @param eps noted; it bounds the rotation of {@code coft}, which is not supported
 * @param blockShare one block for all
 * @param useCayleyNeumann PEFT's default, an approximation without an inverse that turns the other way:
 *     {@code (I + Q)(I - Q)^-1 = I + 2 Q + 2 Q^2 + ...}, cut off; R is orthogonal only as long as Q is small
 * @param numCayleyNeumannTerms terms of that series
 */
public record Oft(int r, int oftBlockSize, double moduleDropout, Targets targetModules, Optional<Targets> excludeModules,
        List<Integer> layersToTransform, List<String> layersPattern, String bias, boolean initWeights, double eps,
        boolean blockShare, boolean useCayleyNeumann, int numCayleyNeumannTerms, List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults. */
    public static final Oft DEFAULTS = new Oft(0, 32, 0, Targets.DEFAULT, Optional.empty(), List.of(), List.of(), "none", true, 6e-5,
            false, true, 5, List.of());

    @Override
    public String peftType() {
        return "OFT";
    }

    @Override
    public Oft on(Backbone model) {
        return !targetModules.isDefault() ? this : new Oft(r, oftBlockSize, moduleDropout, Targets.of(model), excludeModules,
                layersToTransform, layersPattern, bias, initWeights, eps, blockShare, useCayleyNeumann, numCayleyNeumannTerms, modulesToSave);
    }

    @Override
    public Oft withModulesToSave(List<String> modules) {
        return new Oft(r, oftBlockSize, moduleDropout, targetModules, excludeModules, layersToTransform, layersPattern, bias,
                initWeights, eps, blockShare, useCayleyNeumann, numCayleyNeumannTerms, modules);
    }

    @Override
    public String changesAtStart() {
        return initWeights ? "" : "init_weights false starts with random rotations";
    }

    @Override
    public void attachTo(Attachment a) {
        check(a.isLoading());
        List<LinearLayer> targets = a.linears(targetModules, excludeModules, layersToTransform, layersPattern);
        for (LinearLayer layer : targets) {
            long size = blockSize(layer.in());
            Var triangle = a.trainable(Attachment.key(layer.path()) + ".oft_R.weight", initWeights ? Init.ZEROS : Init.normal(0.1),
                    blockShare ? 1 : layer.in() / size, size * (size - 1) / 2);
            a.project(layer, new Rotation(triangle, size, useCayleyNeumann ? numCayleyNeumannTerms : 0));
        }
        a.biases(bias, "oft_only", targets);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private void check(boolean loading) {
        if (r < 0 || oftBlockSize < 0 || (r == 0) == (oftBlockSize == 0)) {
            throw new AdapterException("r is " + r + " and oft_block_size is " + oftBlockSize + "; one of the two must be positive "
                    + "and the other 0, for each follows from the other.");
        }
        if (useCayleyNeumann && numCayleyNeumannTerms < 1) {
            throw new AdapterException("num_cayley_neumann_terms is " + numCayleyNeumannTerms + "; it must be positive.");
        }
        if (moduleDropout != 0 && !loading) {
            throw new AdapterException("module_dropout is " + moduleDropout + ", which no version of PEFT applies. Set it to 0.");
        }
    }

    private long blockSize(long in) {
        return r == 0 ? dividing(in, oftBlockSize) : in / dividing(in, r);
    }

    /** The divisor of {@code in} nearest to {@code wanted}, the smaller of two. */
    private static long dividing(long in, long wanted) {
        for (long step = 0; wanted < in; step++) {
            if (wanted - step >= 1 && in % (wanted - step) == 0) {
                return wanted - step;
            }
            if (in % (wanted + step) == 0) {
                return wanted + step;
            }
        }
        return in;
    }

    /**
     * The rotation of one layer's input.
     *
     * @param triangle {@code [in / b or 1, b (b - 1) / 2]}: the upper triangles row by row
     * @param terms of Neumann's series; 0 for the exact inverse
     */
    private record Rotation(Var triangle, long size, int terms) implements Projection {
        /** {@code [blocks, b, b]}. */
        private Var matrices() {
            Var q = skew();
            Var identity = identity();
            if (terms == 0) {
                return identity.sub(q).matmul(Inverse.apply(identity.add(q)));
            }
            Var sum = terms > 1 ? identity.addScaled(q, 2) : identity.expandTo(q.shape());
            if (terms > 2) {
                Var power = q.matmul(q);
                sum = sum.addScaled(power, 2);
                for (int k = 3; k < terms - 1; k++) {
                    power = power.matmul(q);
                    sum = sum.addScaled(power, 2);
                }
                // The last term counts once: so does PEFT.
                sum = sum.add(power.matmul(q));
            }
            return sum;
        }

        private Var skew() {
            int n = Math.toIntExact(size);
            long[] upper = new long[n * (n - 1) / 2];
            long[] lower = new long[upper.length];
            int at = 0;
            for (int i = 0; i < n; i++) {
                for (int j = i + 1; j < n; j++) {
                    upper[at] = (long) i * n + j;
                    lower[at++] = (long) j * n + i;
                }
            }
            Var columns = triangle.transpose(0, 1);
            Var full = Lookup.scatterAdd(columns, Tensor.of(triangle.backend(), upper, at), size * size)
                    .sub(Lookup.scatterAdd(columns, Tensor.of(triangle.backend(), lower, at), size * size));
            return full.transpose(0, 1).reshape(triangle.size(0), size, size);
        }

        private Var identity() {
            double[] ones = new double[Math.toIntExact(size * size)];
            for (int i = 0; i < size; i++) {
                ones[i * Math.toIntExact(size + 1)] = 1;
            }
            return Var.constant(Tensor.of(triangle.backend(), triangle.dtype(), ones, 1, size, size));
        }

        /** {@code rows [.., in]} times R, block by block. */
        private static Var turn(Var rows, Var r, long size) {
            long blocks = rows.size(-1) / size;
            Var parts = rows.reshape(-1, blocks, size).transpose(0, 1);
            return parts.matmul(r.expandTo(blocks, size, size)).transpose(0, 1).reshape(rows.shape());
        }

        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return inner.apply(turn(x, matrices(), size));
        }

        /** {@code W' = W R^T}. */
        @Override
        public Var weight(Var w) {
            return turn(w, matrices().transpose(1, 2), size);
        }
    }
}
