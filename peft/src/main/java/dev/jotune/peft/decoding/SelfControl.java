package dev.jotune.peft.decoding;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * SelfControl (Cai et al., arXiv 2406.02721): a model's own judgement of its answer steers the next one. With g_l the gradient of the
 * {@link SuffixScore} of prompt and answer with respect to the states {@code h_l [P, C]} that block l leaves at the prompt, each position's
 * cut to norm 1, {@code h_l <- h_l + a g_l} in all blocks, summed over iterations. Step sizes a, each half the one before, are tried by
 * answering anew: from each of the n likeliest first tokens greedily on, the best score kept. What does not raise the score is dropped,
 * and the first iteration of which nothing is kept is the last.
 *
 * <p>Answers are judged without the control in place: else it could raise the score and leave the text as it was.
 *
 * @param scores what is judged; of several the sum counts, so that their gradients add up
 * @param step the first a; 0.1 to 0.5 in the paper, for much larger models
 * @param searches step sizes of an iteration
 * @param iterations at most
 * @param branches n; 1 is greedy
 * @param topPositions how many positions of the prompt move in a block, those of largest gradient; 0 for all
 * @param endTokens what ends an answer
 */
public record SelfControl(List<SuffixScore> scores, double step, int searches, int iterations, int branches, int topPositions,
        int maxNewTokens, List<Integer> endTokens) {
    /** @throws IllegalArgumentException naming what is out of range */
    public SelfControl {
        scores = List.copyOf(scores);
        endTokens = List.copyOf(endTokens);
        if (scores.isEmpty() || !(step >= 0 && step < Double.POSITIVE_INFINITY) || searches < 1 || iterations < 0 || branches < 1
                || topPositions < 0 || maxNewTokens < 1) {
            throw new IllegalArgumentException(scores.size() + " scores, step " + step + ", " + searches + " searches, " + iterations
                    + " iterations, " + branches + " branches, " + topPositions + " positions and " + maxNewTokens + " tokens are not possible. "
                    + "Give a score, one search, one branch and one token at least, and nothing below 0.");
        }
    }

    /** With the paper's settings. */
    public static SelfControl of(SuffixScore score, double step, int maxNewTokens, List<Integer> endTokens) {
        return new SelfControl(List.of(score), step, 4, 3, 6, 0, maxNewTokens, endTokens);
    }

    /** An answer, what the model thinks of it, and the control that it was written under. */
    public record Answer(int[] tokens, double score, HiddenControl control) {}

    /** The answer to a prompt: the model's own first, then what the iterations make of it. */
    public Answer write(CausalLm model, int[] prompt, Pass pass) {
        Answer best = answer(model, prompt, HiddenControl.none(model, prompt.length), pass);
        for (int i = 0; i < iterations; i++) {
            HiddenControl from = best.control;
            List<Tensor> directions = clipped(gradient(model, prompt, best.tokens, from, pass));
            double worst = best.score;
            double size = step;
            for (int s = 0; s < searches; s++, size /= 2) {
                Answer next = answer(model, prompt, from.plus(size, directions), pass);
                best = next.score > best.score ? next : best;
            }
            if (best.score <= worst) {
                break;
            }
        }
        return best;
    }

    /** The sum of the scores of a text. */
    public Var score(CausalLm model, int[] text, Pass pass) {
        return scores.stream().map(s -> s.of(model, text, pass)).reduce(Var::add).orElseThrow();
    }

    /** The gradient of the score of prompt and answer at the prompt's states under {@code control}, {@code [P, C]} for each block. */
    public List<Tensor> gradient(CausalLm model, int[] prompt, int[] answer, HiddenControl control, Pass pass) {
        return Gradients.of(score(model, joined(prompt, answer), control.on(model, pass)), control.shifts());
    }

    /** Each position's direction, no longer than 1; of positions that do not move 0. */
    public List<Tensor> clipped(List<Tensor> gradients) {
        return gradients.stream().map(g -> {
            int width = Math.toIntExact(g.size(1));
            double[] values = g.toDoubleArray();
            double[] norms = IntStream.range(0, values.length / width).mapToDouble(p -> Math.sqrt(
                    Arrays.stream(values, p * width, (p + 1) * width).map(v -> v * v).sum())).toArray();
            double least = topPositions == 0 || topPositions >= norms.length ? 0
                    : Arrays.stream(norms).sorted().toArray()[norms.length - topPositions];
            Arrays.setAll(values, i -> norms[i / width] < least ? 0 : values[i] / Math.max(1, norms[i / width]));
            return Tensor.of(g.backend(), g.dtype(), values, g.shape());
        }).toList();
    }

    /** The best of {@link #branches} answers under a control. */
    public Answer answer(CausalLm model, int[] prompt, HiddenControl control, Pass pass) {
        return Recording.off(() -> branched(model, prompt, control, pass).stream()
                .map(tokens -> new Answer(tokens, score(model, joined(prompt, tokens), pass).item(), control))
                .max(Comparator.comparingDouble(Answer::score)).orElseThrow());
    }

    private List<int[]> branched(CausalLm model, int[] prompt, HiddenControl control, Pass pass) {
        DecoderCache cache = model.newCache(1, prompt.length + maxNewTokens);
        try {
            Var read = model.forward(DecoderInput.of(SuffixScore.row(model, prompt)), control.on(model, pass), Optional.of(cache)).text();
            double[] first = model.logits(read.slice(1, prompt.length - 1, prompt.length), pass).tensor().toDoubleArray();
            int rows = Math.min(branches, first.length);
            int[][] written = IntStream.range(0, first.length).boxed().sorted(Comparator.comparingDouble((Integer t) -> -first[t])).limit(rows)
                    .map(t -> new int[] {t}).toArray(int[][]::new);
            cache.reorder(new int[rows]);
            // The prompt's keys and values hold the control; what is written reads on without.
            while (written[0].length < maxNewTokens && Arrays.stream(written).anyMatch(w -> end(w) < 0)) {
                long[] last = Arrays.stream(written).mapToLong(w -> w[w.length - 1]).toArray();
                Var states = model.forward(DecoderInput.of(Tensor.of(model.backend(), last, rows, 1)), pass, Optional.of(cache)).text();
                double[] logits = model.logits(states, pass).tensor().toDoubleArray();
                for (int r = 0; r < rows; r++) {
                    int at = r * first.length;
                    int next = IntStream.range(0, first.length).reduce((a, b) -> logits[at + b] > logits[at + a] ? b : a).orElseThrow();
                    written[r] = joined(written[r], new int[] {next});
                }
            }
            return Arrays.stream(written).map(w -> end(w) < 0 ? w : Arrays.copyOf(w, end(w))).toList();
        } finally {
            cache.free();
        }
    }

    /** How many tokens there are up to the first that ends the answer; -1 if none does. */
    private int end(int[] w) {
        return IntStream.range(0, w.length).filter(i -> endTokens.contains(w[i])).map(i -> i + 1).findFirst().orElse(-1);
    }

    private static int[] joined(int[] a, int[] b) {
        int[] out = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, out, a.length, b.length);
        return out;
    }
}
