package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.List;

/**
 * Adds a bias to the token that would complete a sequence: for a sequence of one token always, for a longer one
 * where the history ends with all but its last token.
 */
public final class SequenceBias implements LogitsProcessor {

    private final int[][] sequences;
    private final float[] biases;

    /**
     * A sequence of token ids and what is added to the logit of its last token.
     *
     * @param tokens at least one id
     * @param bias   below positive infinity; negative infinity bans
     */
    public record Entry(int[] tokens, double bias) {

        /**
         * @throws IllegalArgumentException if there is no token, an id is negative or the bias NaN or positive infinity
         */
        public Entry {
            tokens = Require.tokens("A sequence", tokens);
            if (tokens.length == 0 || !(bias < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("The sequence " + Arrays.toString(tokens) + " with bias " + bias
                        + " is no bias of a sequence. Give at least one token and a finite number, or -Infinity to "
                        + "ban it.");
            }
        }

        @Override
        public int[] tokens() {
            return tokens.clone();
        }
    }

    public SequenceBias(List<Entry> entries) {
        sequences = entries.stream().map(Entry::tokens).toArray(int[][]::new);
        biases = new float[sequences.length];
        for (int i = 0; i < biases.length; i++) {
            biases[i] = (float) entries.get(i).bias();
        }
    }

    /**
     * Bans sequences of tokens; a sequence that is just an end token is left alone, or the text could not end.
     */
    public static SequenceBias badWords(List<int[]> words, int... eosTokenIds) {
        return new SequenceBias(words.stream()
                .filter(word -> word.length != 1 || Arrays.stream(eosTokenIds).noneMatch(eos -> eos == word[0]))
                .map(word -> new Entry(word, Double.NEGATIVE_INFINITY))
                .toList());
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        for (int i = 0; i < sequences.length; i++) {
            int[] sequence = sequences[i];
            int prefix = sequence.length - 1;
            if (prefix <= length && Arrays.equals(sequence, 0, prefix, history, length - prefix, length)) {
                logits[sequence[prefix]] += biases[i];
            }
        }
    }
}
