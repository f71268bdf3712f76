package dev.jotune.peft.decoding;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * SelfControl's compression of controls into a prefix (Cai et al., arXiv 2406.02721, section 2.3): an adapter learns, from prompts alone,
 * the states that control gave them, by the mean squared error over all blocks.
 */
public final class ControlDistillation {
    private ControlDistillation() {}

    /**
     * A prompt and the states that its blocks left under control.
     *
     * @param states {@code [P, C]}, one a block
     */
    public record Lesson(int[] prompt, List<Tensor> states) {}

    /**
     * The lesson of an answer; none if its control is nothing, or larger than {@code threshold} times the states that it was added to, in
     * norm over all blocks: so far from what the model knows, there is nothing to learn from.
     *
     * @param threshold 0.5 in the paper's code
     * @param pass without the adapter that is to learn
     */
    public static Optional<Lesson> lesson(CausalLm model, int[] prompt, SelfControl.Answer answer, double threshold, Pass pass) {
        double added = norm(answer.control().shifts());
        if (added == 0 || added > threshold * norm(Recording.off(() -> HiddenControl.states(model, prompt, pass)))) {
            return Optional.empty();
        }
        return Optional.of(new Lesson(prompt, Recording.off(() -> HiddenControl.states(model, prompt, answer.control().on(model, pass))).stream()
                .map(v -> Scope.detach(v.tensor().contiguous())).toList()));
    }

    /**
     * Trains an adapter that is active alone.
     *
     * @param rate some 3e-3 to 9e-3 in the paper
     * @param rows lessons of a step
     * @return the loss of each step
     */
    public static List<Double> run(Adapter adapter, List<Lesson> lessons, int steps, int rows, double rate) {
        CausalLm model = adapter.model().as(CausalLm.class);
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(rate));
        List<Double> losses = new ArrayList<>();
        for (int step = 0; step < steps; step++) {
            try (Scope scope = Scope.open()) {
                Pass pass = model.seams().training(0, step);
                Var sum = null;
                for (int r = 0; r < rows; r++) {
                    Var one = error(model, lessons.get((step * rows + r) % lessons.size()), pass);
                    sum = sum == null ? one : sum.add(one);
                }
                Var loss = sum.mul(1.0 / rows);
                losses.add(loss.item());
                optimizer.step(adapter.trainables(), Gradients.of(loss, List.copyOf(adapter.trainables().values())));
            }
        }
        return losses;
    }

    /** The mean squared difference of a prompt's states from those of its lesson, over all blocks. */
    public static Var error(CausalLm model, Lesson lesson, Pass pass) {
        List<Var> states = HiddenControl.states(model, lesson.prompt, pass);
        Var sum = states.getFirst().sub(Var.constant(lesson.states.getFirst())).square().mean();
        for (int i = 1; i < states.size(); i++) {
            sum = sum.add(states.get(i).sub(Var.constant(lesson.states.get(i))).square().mean());
        }
        return sum.mul(1.0 / states.size());
    }

    private static double norm(List<Var> parts) {
        return Math.sqrt(parts.stream().mapToDouble(v -> Recording.off(() -> v.square().sum()).item()).sum());
    }
}
