package dev.jotune.peft.train;

import dev.jotune.autograd.optim.ClipByNorm;
import dev.jotune.autograd.optim.GradientTransform;
import dev.jotune.autograd.optim.GradientTransforms;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;

/** Descent along gradients: transforms, clipping, an optimiser at a schedule's rates. */
final class Backpropagation implements Descent {
    private final ClipByNorm clip;
    private final Optimizer optimizer;

    /** @param transform of the gradients, before clipping */
    Backpropagation(TrainOptions options, long totalSteps, GradientTransform transform) {
        clip = GradientTransforms.clipByNorm(options.maxGradNorm() == 0 ? Double.POSITIVE_INFINITY : options.maxGradNorm());
        GradientTransform chain = GradientTransforms.chain(transform, clip, this::refuseNaN);
        optimizer = options.optimizer(totalSteps).after(chain);
    }

    @Override
    public Outcome step(StepInput step) {
        StepInput.Slope slope = step.slope();
        if (!Double.isFinite(slope.loss())) {
            return new Outcome(slope.loss(), Double.NaN);
        }
        optimizer.step(slope.gradients());
        return new Outcome(slope.loss(), clip.lastNorm(), slope.gradients());
    }

    /** The last link of the chain: parameters are not touched by a gradient that is not a number. */
    private List<Trainable> refuseNaN(long step, List<Trainable> trainables) {
        if (!Double.isFinite(clip.lastNorm())) {
            throw new DivergedException("the gradients' norm is " + clip.lastNorm());
        }
        return trainables;
    }

    @Override
    public double rate() {
        return optimizer.rate();
    }

    @Override
    public Map<String, Tensor> state() {
        return optimizer.state();
    }

    @Override
    public void restore(Map<String, Tensor> state, long steps) {
        optimizer.restore(state, steps);
    }
}
