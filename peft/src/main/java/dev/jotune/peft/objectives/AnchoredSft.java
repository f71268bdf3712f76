package dev.jotune.peft.objectives;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Losses;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import java.util.List;

/**
 * Anchored supervised fine-tuning (Zhu et al., arXiv 2509.23753), the mean over target tokens t of
 * {@code sg(p_t) (-log p_t) + lambda KL_t}, {@code KL_t = sum_v p_ref(v) (log p_ref(v) - log p(v))}; sg lets no gradient through,
 * and the reference is the model without the adapters that train. Tokens that the model finds unlikely, noise among them, weigh
 * less; the anchor keeps the whole distribution near where it began.
 *
 * <p>Without lambda it is dynamic fine-tuning, DFT (arXiv 2508.05629), whose gradient is that of {@code -mean(p_t)}; without
 * weighing it is fine-tuning with a KL penalty, and without both plain cross-entropy.
 *
 * @param lambda weight of the anchor; the paper's is 0.05 to 0.1
 * @param weighs whether a token weighs as much as the model believes in it
 * @param referenceAdapters attached adapters that the reference keeps; none: it is the bare model
 */
public record AnchoredSft(double lambda, boolean weighs, List<String> referenceAdapters) implements Objective {
    /** @throws IllegalArgumentException for a negative weight */
    public AnchoredSft {
        if (!(lambda >= 0 && Double.isFinite(lambda))) {
            throw new IllegalArgumentException("lambda is " + lambda + ". It must be a number of 0 or more, such as 0.05.");
        }
        referenceAdapters = List.copyOf(referenceAdapters);
    }

    /** As published, anchored to the bare model. */
    public static AnchoredSft of(double lambda) {
        return new AnchoredSft(lambda, true, List.of());
    }

    @Override
    public Var loss(Backbone model, Batch batch, Pass pass) {
        CausalLm lm = model.as(CausalLm.class);
        List<List<Example>> texts = batch.examples().stream().map(List::of).toList();
        Labelled now = Labelled.of(lm, texts, false, pass);
        Var logits = logits(lm, now, pass);
        Var nll = CrossEntropy.apply(logits, now.labels(), CrossEntropy.Options.NONE);
        Var loss = (weighs ? nll.mul(nll.detach().neg().exp()) : nll).mean();
        if (lambda == 0) {
            return loss;
        }
        Pass reference = Preference.reference(model, referenceAdapters);
        Var anchor = Recording.off(() -> logits(lm, Labelled.of(lm, texts, false, reference), reference));
        return loss.addScaled(Losses.klDivergence(logits, anchor, 1), lambda);
    }

    private static Var logits(CausalLm model, Labelled tokens, Pass pass) {
        Var states = tokens.states();
        return model.logits(states.reshape(1, states.size(0), states.size(1)), pass).reshape(states.size(0), model.vocabularySize());
    }
}
