package dev.jotune.peft.weights;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedules;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * BitDelta's scale distillation (arXiv 2402.10193, section 3.1): with everything else frozen, the scales minimise the mean squared
 * difference of logits, {@code |Z_tuned(x) - Z_delta(x; alpha)|^2}, by Adam with a cosine decay.
 */
public final class Distillation {
    private Distillation() {}

    /**
     * Fits the scales of a delta that is attached to {@code model}.
     *
     * @param name the delta's name on the model
     * @param tuned what was compressed
     * @param texts token ids {@code [B, T]}, a batch a step
     * @param rate the learning rate at first; the paper's is 1e-4
     * @return the loss of each step
     */
    public static List<Double> run(BitDelta delta, CausalLm model, String name, CausalLm tuned, List<Tensor> texts, double rate) {
        Optimizer optimizer = new AdamW(0).with(Schedules.byName("cosine", Map.of("base_lr", rate, "total", texts.size())));
        Pass student = Pass.training(List.of(model.seams().hooks(name)), 0, 0);
        List<Double> losses = new ArrayList<>();
        for (Tensor ids : texts) {
            try (Scope scope = Scope.open()) {
                Var target = Recording.off(() -> logits(tuned, ids, Pass.inference(List.of())));
                Var loss = logits(model, ids, student).sub(target).square().mean();
                losses.add(loss.item());
                optimizer.step(delta.scales(), Gradients.of(loss, List.copyOf(delta.scales().values())));
            }
        }
        return losses;
    }

    /** The mean squared difference of logits on one batch. */
    public static double error(CausalLm model, Pass pass, CausalLm tuned, Tensor ids) {
        return Recording.off(() -> logits(model, ids, pass).sub(logits(tuned, ids, Pass.inference(List.of()))).square().mean()).item();
    }

    private static Var logits(CausalLm model, Tensor ids, Pass pass) {
        return model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass);
    }
}
