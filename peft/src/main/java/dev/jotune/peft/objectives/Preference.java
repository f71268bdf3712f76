package dev.jotune.peft.objectives;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.objectives.PreferenceLoss.Answers;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import java.util.List;
import java.util.Optional;

/**
 * Learns from pairs of answers: the mean of {@link PreferenceLoss} over the pairs of a batch. The reference is the model
 * without the adapters that train, read in the same layout and without recording.
 *
 * <p>With prefix sharing (arXiv 2410.20305) a pair is one row, prompt, chosen, rejected, whose prompt is computed once; the
 * numbers are those of two rows.
 *
 * @param loss of each pair
 * @param sharesPrefix whether the two answers share their prompt's columns, where the model can; see {@link dev.jotune.models.Branches}
 * @param referenceAdapters attached adapters that the reference keeps; none: it is the bare model
 */
public record Preference(PreferenceLoss loss, boolean sharesPrefix, List<String> referenceAdapters) implements Objective {
    public Preference {
        referenceAdapters = List.copyOf(referenceAdapters);
    }

    /** With prefix sharing, compared with the bare model. */
    public Preference(PreferenceLoss loss) {
        this(loss, true, List.of());
    }

    /** DPO as published: beta 0.1. */
    public static Preference dpo() {
        return new Preference(new PreferenceLoss.Dpo(0.1, 0));
    }

    @Override
    public Var loss(Backbone model, Batch batch, Pass pass) {
        CausalLm lm = model.as(CausalLm.class);
        List<List<Example>> pairs = batch.examples().stream().map(Preference::pair).toList();
        Optional<Var> reference = loss.usesReference()
                ? Optional.of(Recording.off(() -> measured(lm, pairs, reference(lm, referenceAdapters))[0])) : Optional.empty();
        Var[] policy = measured(lm, pairs, pass);
        return loss.apply(answers(0, policy, reference), answers(1, policy, reference)).mean();
    }

    /** The weight of a batch is its number of pairs. */
    @Override
    public double weight(Batch batch) {
        return batch.examples().size();
    }

    private static List<Example> pair(Example e) {
        return List.of(e, e.rejected().orElseThrow(() -> new AdapterException("an example has no rejected answer, and preferences are "
                + "learnt from pairs. Give each line \"prompt\", \"chosen\" and \"rejected\".")));
    }

    /** All rows under the adapters that a reference keeps, without dropout. */
    static Pass reference(Backbone model, List<String> adapters) {
        return Pass.inference(adapters.stream().map(model.seams()::hooks).toList());
    }

    /** Log-probabilities {@code [N, 2]} of all answers as the loss wants them, and their means of negative ones. */
    private Var[] measured(CausalLm model, List<List<Example>> pairs, Pass pass) {
        Labelled tokens = Labelled.of(model, pairs, sharesPrefix, pass);
        Var sums = tokens.perText(tokens.logProbabilities(model, pass));
        Var means = sums.div(tokens.counts());
        return new Var[] {(loss.averages() ? means : sums).reshape(-1, 2), means.neg().reshape(-1, 2)};
    }

    private static Answers answers(int side, Var[] policy, Optional<Var> reference) {
        return new Answers(policy[0].select(1, side), reference.map(r -> r.select(1, side)), policy[1].select(1, side));
    }
}
