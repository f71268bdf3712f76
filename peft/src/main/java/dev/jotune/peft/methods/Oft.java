package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

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
 * @param coft holds every Q within a ball around 0 by projecting it after each update (section 4.2, constrained)
 * @param eps bounds the Frobenius norm of such a Q, by {@code eps / sqrt(blocks)}
 * @param blockShare one block for all
 * @param useCayleyNeumann PEFT's default, an approximation without an inverse that turns the other way:
 *     {@code (I + Q)(I - Q)^-1 = I + 2 Q + 2 Q^2 + ...}, cut off; R is orthogonal only as long as Q is small
 * @param numCayleyNeumannTerms terms of that series
 */
public record Oft(int r, int oftBlockSize, double moduleDropout, Targets targetModules, Optional<Targets> excludeModules,
        List<Integer> layersToTransform, List<String> layersPattern, String bias, boolean initWeights, boolean coft, double eps,
        boolean blockShare, boolean useCayleyNeumann, int numCayleyNeumannTerms, List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults. */
    public static final Oft DEFAULTS = new Oft(0, 32, 0, Targets.DEFAULT, Optional.empty(), List.of(), List.of(), "none", true, false, 6e-5,
            false, true, 5, List.of());

    @Override
    public String peftType() {
        return "OFT";
    }

    @Override
    public Oft on(Backbone model) {
        return !targetModules.isDefault() ? this : new Oft(r, oftBlockSize, moduleDropout, Targets.of(model), excludeModules,
                layersToTransform, layersPattern, bias, initWeights, coft, eps, blockShare, useCayleyNeumann, numCayleyNeumannTerms, modulesToSave);
    }

    @Override
    public Oft withModulesToSave(List<String> modules) {
        return new Oft(r, oftBlockSize, moduleDropout, targetModules, excludeModules, layersToTransform, layersPattern, bias,
                initWeights, coft, eps, blockShare, useCayleyNeumann, numCayleyNeumannTerms, modules);
    }

    @Override
    public String changesAtStart() {
        return initWeights ? "" : "init_weights false starts with random rotations";
    }

    @Override
    public void attachTo(Attachment a) {
        check(a.isLoading());
        List<LinearLayer> targets = a.modules(targetModules, excludeModules, layersToTransform, layersPattern);
        List<BlockRotation> rotations = new ArrayList<>();
        for (LinearLayer layer : targets) {
            // Of a table, rows are turned as they come out.
            long turned = a.isTable(layer) ? layer.out() : layer.in();
            long size = blockSize(turned);
            Var triangle = a.trainable(Attachment.key(layer.path()) + (a.isTable(layer) ? ".oft_embedding_R.weight" : ".oft_R.weight"),
                    initWeights ? Init.ZEROS : Init.normal(0.1), blockShare ? 1 : turned / size, size * (size - 1) / 2);
            double limit = coft ? eps / Math.sqrt(triangle.size(0)) : Double.POSITIVE_INFINITY;
            rotations.add(new BlockRotation(triangle, size, useCayleyNeumann ? numCayleyNeumannTerms : 0, limit));
            a.project(layer, a.isTable(layer) ? new RowRotation(rotations.getLast()) : rotations.getLast());
        }
        if (coft) {
            a.eachStep((step, trainables) -> rotations.forEach(r -> r.triangle().tensor().copyFrom(r.projected().tensor())));
        }
        a.biases(bias, "oft_only", targets);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private void check(boolean loading) {
        if (r < 0 || oftBlockSize < 0 || (r == 0) == (oftBlockSize == 0)) {
            throw new AdapterException("r is " + r + " and oft_block_size is " + oftBlockSize + "; one of the two must be positive "
                    + "and the other 0, for each follows from the other.");
        }
        if (coft && !(eps > 0)) {
            throw new AdapterException("eps is " + eps + "; with coft it must be positive.");
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
}
