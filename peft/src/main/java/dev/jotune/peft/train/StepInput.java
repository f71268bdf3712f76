package dev.jotune.peft.train;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Supplier;

/**
 * One step, as a {@link Descent} sees it.
 *
 * @param model with all that is attached
 * @param objective what is minimised: the mean over the batches by their weights
 * @param batches of the step, each a forward pass
 * @param trainables what the selector chose, by name
 * @param penalty a scalar that the method adds to every objective, if any; asked for where gradients are taken, and no part of {@link #loss}
 * @param seed of the run
 * @param step how many came before
 */
public record StepInput(Backbone model, Objective objective, List<Batch> batches, SequencedMap<String, Var> trainables,
        Supplier<Optional<Var>> penalty, long seed, long step) {
    /** Without a penalty. */
    public StepInput(Backbone model, Objective objective, List<Batch> batches, SequencedMap<String, Var> trainables, long seed, long step) {
        this(model, objective, batches, trainables, Optional::empty, seed, step);
    }

    /**
     * A loss and its gradients.
     *
     * @param gradients empty if the loss is not a number
     */
    public record Slope(double loss, List<Trainable> gradients) {}

    private double[] shares() {
        double[] weights = batches.stream().mapToDouble(objective::weight).toArray();
        double total = Arrays.stream(weights).sum();
        // Examples without labels may meet in one step; there is nothing to learn from them.
        Arrays.setAll(weights, i -> total > 0 ? weights[i] / total : 0);
        return weights;
    }

    /** The loss without dropout: forward passes alone, nothing is recorded, nothing stays. */
    public double loss() {
        double[] shares = shares();
        double loss = 0;
        for (int m = 0; m < shares.length; m++) {
            if (shares[m] > 0) {
                Batch b = batches.get(m);
                try (Scope _ = Scope.open()) {
                    loss += shares[m] * Recording.off(() -> objective.loss(model, b, evaluation()).item());
                }
            }
        }
        return loss;
    }

    private Var charged(Var loss) {
        return penalty.get().map(loss::add).orElse(loss);
    }

    /** No dropout; what else an objective draws follows from the step. */
    private Pass evaluation() {
        return new Pass(model.seams().inference().groups(), false, seed, step);
    }

    /** The loss with the noise of training and its gradients: the weighted sum over the batches, each in a scope of its own. */
    public Slope slope() {
        double[] shares = shares();
        List<Var> wrt = List.copyOf(trainables.values());
        Tensor[] sums = new Tensor[wrt.size()];
        double loss = 0;
        for (int m = 0; m < shares.length; m++) {
            if (!(shares[m] > 0)) {
                continue;
            }
            Batch b = batches.get(m);
            try (Scope scope = Scope.open()) {
                // Each batch has noise of its own.
                Pass pass = model.seams().training(seed, step * shares.length + m);
                Var part = pass.once(() -> charged(objective.loss(model, b, pass))).mul(shares[m]);
                loss += part.item();
                if (!Double.isFinite(loss)) {
                    return new Slope(loss, List.of());
                }
                add(sums, Gradients.consume(part, wrt), scope);
            }
        }
        for (int i = 0; i < sums.length; i++) {
            if (sums[i] == null) {
                sums[i] = Tensor.zeros(model.backend(), model.computeType(), wrt.get(i).shape());
            }
        }
        return new Slope(loss, Trainable.of(trainables, List.of(sums)));
    }

    private static void add(Tensor[] sums, List<Tensor> more, Scope scope) {
        Recording.off(() -> {
            for (int i = 0; i < sums.length; i++) {
                sums[i] = scope.keep(sums[i] == null ? more.get(i)
                        : Var.constant(sums[i]).add(Var.constant(more.get(i))).tensor());
            }
            return sums;
        });
    }
}
