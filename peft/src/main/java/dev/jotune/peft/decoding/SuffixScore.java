package dev.jotune.peft.decoding;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * What a model says of a text when it is asked (Cai et al., arXiv 2406.02721, section 2.1): a suffix behind the text asks for an
 * attribute, and the score is {@code s((l_positive - l_negative) / T)} of the logits for the next token, s the logistic function.
 *
 * @param suffix the question's tokens, up to where the answer is due
 * @param positive the token that says yes
 * @param negative the token that says no
 * @param temperature T; 10 in the paper
 */
public record SuffixScore(List<Integer> suffix, int positive, int negative, double temperature) {
    /** @throws IllegalArgumentException if the question is empty, its answers are one, or T is not above 0 */
    public SuffixScore {
        suffix = List.copyOf(suffix);
        if (suffix.isEmpty() || positive == negative || !(temperature > 0 && temperature < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("a suffix of " + suffix.size() + " tokens with the answers " + positive + " and " + negative
                    + " at temperature " + temperature + " scores nothing. Give a question, two answers that differ, and a temperature above 0.");
        }
    }

    public static SuffixScore of(List<Integer> suffix, int positive, int negative) {
        return new SuffixScore(suffix, positive, negative, 10);
    }

    /** A scalar in (0, 1). */
    public Var of(CausalLm model, int[] text, Pass pass) {
        int[] all = Arrays.copyOf(text, text.length + suffix.size());
        IntStream.range(0, suffix.size()).forEach(i -> all[text.length + i] = suffix.get(i));
        Var states = model.forward(DecoderInput.of(row(model, all)), pass, Optional.empty()).text();
        Var logits = model.logits(states.slice(1, all.length - 1, all.length), pass).reshape(-1);
        Var difference = logits.slice(0, positive, positive + 1L).sub(logits.slice(0, negative, negative + 1L));
        return Activations.sigmoid(difference.mul(1 / temperature)).sum();
    }

    /** Tokens as one row, {@code [1, T]}. */
    static Tensor row(CausalLm model, int[] ids) {
        return Tensor.of(model.backend(), Arrays.stream(ids).asLongStream().toArray(), 1, ids.length);
    }
}
