package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How tokens are chosen and when a text ends. Names and meanings are those of Hugging Face's generation config.
 *
 * @param doSample           draw from the distribution; otherwise the most likely token is taken and the settings from
 *                           temperature to etaCutoff have no say
 * @param temperature        not negative; 0 is greedy decoding
 * @param topK               keep the k most likely tokens; 0 is off
 * @param topP               keep this mass of likely tokens; 1 is off
 * @param minP               keep tokens of at least this share of the best one's probability; 0 is off
 * @param typicalP           keep this mass of typical tokens; 1 is off
 * @param epsilonCutoff      remove tokens below this probability; 0 is off
 * @param etaCutoff          remove tokens below an entropy-dependent probability; 0 is off
 * @param repetitionPenalty  above 0; 1 is off
 * @param noRepeatNgramSize  let no n-gram occur twice; 0 is off
 * @param minNewTokens       no end token before so many new tokens
 * @param minLength          no end token before the text, prompt included, has so many tokens
 * @param maxNewTokens       at least 1
 * @param maxLength          the most tokens of a text, prompt included; 0 sets no such limit
 * @param seed               of the draws: the same seed gives the same text
 * @param stopStrings        text that ends the result and does not belong to it
 * @param eosTokenIds        end tokens; none means that only the other conditions end a text
 * @param suppressTokens     tokens never chosen
 * @param beginSuppressTokens tokens not chosen first
 * @param forcedBosTokenId   the token after the first one, as some encoder-decoders need it; -1 is off
 * @param forcedEosTokenIds  one of them is the last token that the limits allow; none is off
 */
public record SamplingOptions(boolean doSample, double temperature, int topK, double topP, double minP,
                              double typicalP, double epsilonCutoff, double etaCutoff, double repetitionPenalty,
                              int noRepeatNgramSize, int minNewTokens, int minLength, int maxNewTokens,
                              int maxLength, long seed, List<String> stopStrings, List<Integer> eosTokenIds,
                              List<Integer> suppressTokens, List<Integer> beginSuppressTokens, int forcedBosTokenId,
                              List<Integer> forcedEosTokenIds) {

    /**
     * @throws IllegalArgumentException if a setting is outside its range; the message names it
     */
    public SamplingOptions {
        if (!(temperature >= 0) || Double.isInfinite(temperature)) {
            throw new IllegalArgumentException("temperature is " + temperature + ", but must be a number of at least "
                    + "0. Use 0 for the most likely token always, 1 for the model's own distribution.");
        }
        Require.atLeast("top_k", topK, 0, "0 keeps all tokens.");
        Require.share("top_p", topP, "It is the probability mass to keep; 1 keeps all tokens.");
        if (!(minP >= 0 && minP <= 1)) {
            throw new IllegalArgumentException("min_p is " + minP + ", but must be from 0 to 1. "
                    + "It is a share of the best token's probability; 0 keeps all tokens.");
        }
        Require.share("typical_p", typicalP, "It is the probability mass to keep; 1 keeps all tokens.");
        Require.cutoff("epsilon_cutoff", epsilonCutoff, "It is a probability; 0 keeps all tokens.");
        Require.cutoff("eta_cutoff", etaCutoff, "It is a probability; 0 keeps all tokens.");
        Require.positive("repetition_penalty", repetitionPenalty, "1 penalises nothing, above 1 discourages.");
        Require.atLeast("no_repeat_ngram_size", noRepeatNgramSize, 0, "0 allows repetition.");
        Require.atLeast("min_new_tokens", minNewTokens, 0, "0 lets the text end at once.");
        Require.atLeast("max_new_tokens", maxNewTokens, 1, "Ask for at least one token.");
        Require.atLeast("min_length", minLength, 0, "0 lets the text end at once.");
        Require.atLeast("max_length", maxLength, 0, "It counts the prompt; 0 sets no limit.");
        Require.atLeast("forced_bos_token_id", forcedBosTokenId, -1, "-1 forces none.");
        if (minNewTokens > maxNewTokens) {
            throw new IllegalArgumentException("min_new_tokens is " + minNewTokens + ", more than max_new_tokens "
                    + maxNewTokens + ". Lower the first or raise the second.");
        }
        stopStrings = List.copyOf(stopStrings);
        if (stopStrings.contains("")) {
            throw new IllegalArgumentException("A stop string is empty, which every text contains. Leave it out.");
        }
        eosTokenIds = List.copyOf(eosTokenIds);
        suppressTokens = List.copyOf(suppressTokens);
        Require.tokens("eos_token_id", ints(eosTokenIds));
        Require.tokens("suppress_tokens", ints(suppressTokens));
        beginSuppressTokens = List.copyOf(beginSuppressTokens);
        forcedEosTokenIds = List.copyOf(forcedEosTokenIds);
        Require.tokens("begin_suppress_tokens", ints(beginSuppressTokens));
        Require.tokens("forced_eos_token_id", ints(forcedEosTokenIds));
    }

    /** Greedy decoding of at most so many tokens, everything else off. */
    public static SamplingOptions greedy(int maxNewTokens) {
        return builder().maxNewTokens(maxNewTokens).build();
    }

    /** Begins with greedy decoding of at most 128 tokens, everything else off. */
    public static Builder builder() {
        return new Builder();
    }

    /** Whether the most likely token is taken rather than drawn. */
    public boolean isGreedy() {
        return !doSample || temperature == 0;
    }

    /**
     * The processors of these settings, in the order of Hugging Face's generate: {@link #changes}, then, when
     * sampling, {@link #draws}.
     *
     * @param promptLength number of the prompt's tokens
     */
    public List<LogitsProcessor> processors(int promptLength) {
        List<LogitsProcessor> chain = changes(promptLength);
        chain.addAll(draws());
        return chain;
    }

    /** What forbids, penalises and forces, however a token is then chosen. */
    List<LogitsProcessor> changes(int promptLength) {
        List<LogitsProcessor> chain = new ArrayList<>();
        int[] ends = ints(eosTokenIds);
        addIf(repetitionPenalty != 1, chain, new RepetitionPenalty(repetitionPenalty));
        if (noRepeatNgramSize > 0) {
            chain.add(new NoRepeatNgram(noRepeatNgramSize));
        }
        addIf(minLength > 0, chain, Suppress.minLength(minLength, ends));
        addIf(minNewTokens > 0, chain, Suppress.minNewTokens(promptLength, minNewTokens, ends));
        if (forcedBosTokenId >= 0) {
            chain.add(ForcedToken.first(forcedBosTokenId));
        }
        if (!forcedEosTokenIds.isEmpty()) {
            int last = (int) Math.min(Integer.MAX_VALUE, (long) promptLength + maxNewTokens);
            chain.add(ForcedToken.last(maxLength > 0 ? Math.min(maxLength, last) : last, ints(forcedEosTokenIds)));
        }
        addIf(!suppressTokens.isEmpty(), chain, Suppress.always(ints(suppressTokens)));
        // A forced first token is not the one meant.
        int begin = promptLength == 1 && forcedBosTokenId >= 0 ? 2 : promptLength;
        addIf(!beginSuppressTokens.isEmpty(), chain, Suppress.at(begin, ints(beginSuppressTokens)));
        return chain;
    }

    /** What only sampling does: temperature, top-k, top-p, min-p, typical, epsilon and eta. */
    List<LogitsProcessor> draws() {
        List<LogitsProcessor> chain = new ArrayList<>();
        if (isGreedy()) {
            return chain;
        }
        addIf(temperature != 1, chain, new Temperature(temperature));
        if (topK > 0) {
            chain.add(new TopK(topK));
        }
        addIf(topP < 1, chain, new TopP(topP));
        if (minP > 0) {
            chain.add(new MinP(minP));
        }
        addIf(typicalP < 1, chain, new TypicalP(typicalP));
        addIf(epsilonCutoff > 0, chain, new EpsilonCutoff(epsilonCutoff));
        addIf(etaCutoff > 0, chain, new EtaCutoff(etaCutoff));
        return chain;
    }

    private static void addIf(boolean on, List<LogitsProcessor> chain, LogitsProcessor processor) {
        if (on) {
            chain.add(processor);
        }
    }

    static int[] ints(List<Integer> ids) {
        return ids.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Settings by name; those not named stay as {@link SamplingOptions#builder} says. */
    public static final class Builder {

        private boolean doSample;
        private double temperature = 1;
        private int topK;
        private double topP = 1;
        private double minP;
        private double typicalP = 1;
        private double epsilonCutoff;
        private double etaCutoff;
        private double repetitionPenalty = 1;
        private int noRepeatNgramSize;
        private int minNewTokens;
        private int minLength;
        private int maxNewTokens = 128;
        private int maxLength;
        private long seed;
        private List<String> stopStrings = List.of();
        private List<Integer> eosTokenIds = List.of();
        private List<Integer> suppressTokens = List.of();
        private List<Integer> beginSuppressTokens = List.of();
        private int forcedBosTokenId = -1;
        private List<Integer> forcedEosTokenIds = List.of();

        private Builder() {
        }

        public Builder doSample(boolean value) {
            doSample = value;
            return this;
        }

        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        public Builder topK(int value) {
            topK = value;
            return this;
        }

        public Builder topP(double value) {
            topP = value;
            return this;
        }

        public Builder minP(double value) {
            minP = value;
            return this;
        }

        public Builder typicalP(double value) {
            typicalP = value;
            return this;
        }

        public Builder epsilonCutoff(double value) {
            epsilonCutoff = value;
            return this;
        }

        public Builder etaCutoff(double value) {
            etaCutoff = value;
            return this;
        }

        public Builder repetitionPenalty(double value) {
            repetitionPenalty = value;
            return this;
        }

        public Builder noRepeatNgramSize(int value) {
            noRepeatNgramSize = value;
            return this;
        }

        public Builder minNewTokens(int value) {
            minNewTokens = value;
            return this;
        }

        public Builder maxNewTokens(int value) {
            maxNewTokens = value;
            return this;
        }

        public Builder seed(long value) {
            seed = value;
            return this;
        }

        public Builder stopStrings(List<String> values) {
            stopStrings = values;
            return this;
        }

        public Builder eosTokenIds(int... values) {
            eosTokenIds = Arrays.stream(values).boxed().toList();
            return this;
        }

        public Builder suppressTokens(int... values) {
            suppressTokens = Arrays.stream(values).boxed().toList();
            return this;
        }

        public Builder minLength(int value) {
            minLength = value;
            return this;
        }

        public Builder maxLength(int value) {
            maxLength = value;
            return this;
        }

        public Builder beginSuppressTokens(int... values) {
            beginSuppressTokens = Arrays.stream(values).boxed().toList();
            return this;
        }

        public Builder forcedBosTokenId(int value) {
            forcedBosTokenId = value;
            return this;
        }

        public Builder forcedEosTokenIds(int... values) {
            forcedEosTokenIds = Arrays.stream(values).boxed().toList();
            return this;
        }

        /**
         * @throws IllegalArgumentException if a setting is outside its range
         */
        public SamplingOptions build() {
            return new SamplingOptions(doSample, temperature, topK, topP, minP, typicalP, epsilonCutoff, etaCutoff,
                    repetitionPenalty, noRepeatNgramSize, minNewTokens, minLength, maxNewTokens, maxLength, seed,
                    stopStrings, eosTokenIds, suppressTokens, beginSuppressTokens, forcedBosTokenId,
                    forcedEosTokenIds);
        }
    }
}
