package dev.jotune.peft.steps;

import dev.jotune.autograd.Var;
import dev.jotune.peft.train.Descent;
import dev.jotune.peft.train.DivergedException;
import dev.jotune.peft.train.StepInput;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.random.Philox;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.DoubleStream;

/**
 * MeZO: Fine-Tuning Language Models with Just Forward Passes (Malladi et al., arXiv 2305.17333, algorithm 1).
 *
 * <p>{@code g = (L(theta + eps z) - L(theta - eps z)) / (2 eps)}, {@code theta -= rate (g z + decay theta)} with z standard
 * normal. theta is moved in place and z is made anew from (seed, step, tensor) each time it is needed, a few thousand numbers at
 * once: nothing is recorded, no gradient and no noise is stored, and training takes the memory of inference. With n samples the
 * step is the mean of n such steps (n-SPSA). The loss may be anything, an error rate too; dropout is off. Weight decay is for
 * matrices, not for vectors such as biases and norms.
 *
 * <p>The projected gradients g of all steps are the whole run: {@link #replay} makes the trained weights of them.
 *
 * @param epsilon how far theta is moved to either side
 * @param samples directions of a step
 */
public record Mezo(double epsilon, int samples) implements Descent.Factory {
    /** The paper's: 1e-3, one direction. */
    public static final Mezo DEFAULTS = new Mezo(1e-3, 1);

    private static final String LOG = "mezo.projections";
    private static final int CHUNK = 4096;
    private static final Program MOVE = Program.of(
            Expr.input(0).times(Expr.rowInput(2)).plus(Expr.input(1).times(Expr.rowInput(3))));

    /** @throws IllegalArgumentException for a distance that is not above 0, or no direction */
    public Mezo {
        if (!(epsilon > 0 && Double.isFinite(epsilon)) || samples < 1) {
            throw new IllegalArgumentException("MeZO with epsilon " + epsilon + " and " + samples
                    + " samples is not possible. Give an epsilon above 0, such as 1e-3, and at least one sample.");
        }
    }

    @Override
    public Descent start(TrainOptions options, long totalSteps) {
        return new Run(options, totalSteps);
    }

    /**
     * Makes the updates of a run again, without a model, from the parameters it started with.
     *
     * @param projections what {@link Descent#state} of the run holds
     */
    public void replay(SequencedMap<String, Var> trainables, TrainOptions options, long totalSteps, double[] projections) {
        Run run = new Run(options, totalSteps);
        for (int i = 0; i < projections.length; i += samples) {
            run.update(trainables, options.seed(), DoubleStream.of(projections).skip(i).limit(samples).toArray());
        }
    }

    /** {@code theta = keep theta + distance z}, with the noise of a direction of a step. */
    static void move(SequencedMap<String, Var> trainables, long seed, long step, int sample, double keep, double distance) {
        long tensor = 0;
        for (Var v : trainables.values()) {
            // A key for each direction, a stream for each part of each tensor: no two share noise.
            long key = Philox.bits(seed, step, sample);
            move(v.tensor(), key, tensor++ << Integer.SIZE, v.rank() > 1 ? keep : 1, distance);
        }
    }

    private static void move(Tensor t, long key, long stream, double keep, double distance) {
        Tensor flat = t.reshape(t.numel());
        DType type = t.dtype() == DType.F64 ? DType.F64 : DType.F32;
        try (Scope _ = Scope.open()) {
            Tensor numbers = Tensor.of(t.backend(), type, new double[] {keep, distance}, 2);
            Tensor noise = Tensor.empty(t.backend(), type, Math.min(CHUNK, t.numel()));
            for (long at = 0; at < t.numel(); at += CHUNK) {
                Tensor part = flat.slice(0, at, Math.min(t.numel(), at + CHUNK));
                Tensor z = noise.slice(0, 0, part.numel());
                t.backend().normal(z, key, stream + at / CHUNK);
                t.backend().map(MOVE, new Tensor[] {part, z, numbers.slice(0, 0, 1), numbers.slice(0, 1, 2)}, new Tensor[] {part});
            }
        }
    }

    /** One run. */
    private final class Run implements Descent {
        private final TrainOptions options;
        private final long totalSteps;
        private double[] projections = new double[0];
        private long steps;

        Run(TrainOptions options, long totalSteps) {
            this.options = options;
            this.totalSteps = totalSteps;
        }

        @Override
        public Outcome step(StepInput input) {
            SequencedMap<String, Var> theta = input.trainables();
            double[] slopes = new double[samples];
            double loss = 0;
            for (int i = 0; i < samples; i++) {
                move(theta, input.seed(), steps, i, 1, epsilon);
                double plus = input.loss();
                move(theta, input.seed(), steps, i, 1, -2 * epsilon);
                double minus = input.loss();
                move(theta, input.seed(), steps, i, 1, epsilon);
                slopes[i] = (plus - minus) / (2 * epsilon);
                loss += (plus + minus) / (2 * samples);
            }
            if (!DoubleStream.of(slopes).allMatch(Double::isFinite)) {
                throw new DivergedException("a loss beside the parameters is " + loss);
            }
            update(theta, input.seed(), slopes);
            return new Outcome(loss, Math.sqrt(DoubleStream.of(slopes).map(g -> g * g).sum() / samples));
        }

        private void update(SequencedMap<String, Var> theta, long seed, double[] slopes) {
            double rate = rate();
            for (int i = 0; i < slopes.length; i++) {
                move(theta, seed, steps, i, i == 0 ? 1 - rate * options.weightDecay() : 1, -rate * slopes[i] / slopes.length);
            }
            projections = DoubleStream.concat(DoubleStream.of(projections), DoubleStream.of(slopes)).toArray();
            steps++;
        }

        @Override
        public double rate() {
            return options.rates(totalSteps).rate(steps);
        }

        @Override
        public Map<String, Tensor> state() {
            return Map.of(LOG, Tensor.of(Backends.reference(), DType.F64, projections, projections.length));
        }

        @Override
        public void restore(Map<String, Tensor> state, long count) {
            Tensor log = state.get(LOG);
            if (log == null || log.numel() != count * samples) {
                throw new IllegalArgumentException("the saved state " + state.keySet() + " is not of MeZO after " + count
                        + " steps of " + samples + " samples. Resume with the settings that the run was saved with.");
            }
            projections = log.toDoubleArray();
            steps = count;
        }
    }

}
