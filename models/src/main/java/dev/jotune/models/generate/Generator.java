package dev.jotune.models.generate;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * Decodes any {@link LanguageModel}, a combination of several too, token by token. A generator keeps nothing between
 * texts; several threads may use it if the model lets several sessions run at once.
 */
public final class Generator {

    private final LanguageModel model;
    private final SamplingOptions options;
    private final List<Supplier<? extends LogitsProcessor>> extra;

    public Generator(LanguageModel model, SamplingOptions options) {
        this(model, options, List.of());
    }

    /**
     * @param extra processors applied before those of the options, one made for each text
     * @throws IllegalArgumentException if an end token or suppressed token is outside the model's vocabulary
     */
    public Generator(LanguageModel model, SamplingOptions options, List<Supplier<? extends LogitsProcessor>> extra) {
        Require.inVocabulary("eos_token_id", SamplingOptions.ints(options.eosTokenIds()), model.vocabularySize());
        Require.inVocabulary("suppress_tokens", SamplingOptions.ints(options.suppressTokens()),
                model.vocabularySize());
        this.model = model;
        this.options = options;
        this.extra = List.copyOf(extra);
    }

    /** Continues a prompt; ids only. */
    public Generation generate(int[] prompt) {
        return generate(prompt, TextDecoder.NONE, GenerationListener.NONE);
    }

    /** Continues a prompt. */
    public Generation generate(int[] prompt, TextDecoder decoder, GenerationListener listener) {
        return generate(prompt, 0, decoder, listener);
    }

    /**
     * Continues a prompt.
     *
     * @param prompt   token ids, at least one
     * @param row      which text of several with the same seed: each has random numbers of its own
     * @param decoder  a fresh one, used for this text only
     * @param listener hears tokens and text as they come
     * @throws IllegalArgumentException if the prompt is empty, longer than the model's context or holds ids outside
     *                                  its vocabulary, or if stop strings are asked for without a decoder
     * @throws IllegalStateException    if no token is left to choose or the logits hold NaN
     */
    public Generation generate(int[] prompt, long row, TextDecoder decoder, GenerationListener listener) {
        check(prompt, decoder);
        List<LogitsProcessor> processors = new ArrayList<>();
        extra.forEach(supplier -> processors.add(supplier.get()));
        processors.addAll(options.processors(prompt.length));
        Sampler sampler = new Sampler(processors, options.isGreedy(), options.seed(), row);
        try (LanguageModel.Session session = model.open()) {
            return new Text(prompt, decoder, listener).write(session, sampler);
        }
    }

    private void check(int[] prompt, TextDecoder decoder) {
        if (prompt.length == 0) {
            throw new IllegalArgumentException("The prompt has 0 tokens. Begin at least with the "
                    + "beginning-of-text token.");
        }
        if (prompt.length > model.contextLength()) {
            throw new IllegalArgumentException("The prompt has " + prompt.length + " tokens, more than the model's "
                    + "context of " + model.contextLength() + ". Shorten the prompt.");
        }
        Require.inVocabulary("The prompt", prompt, model.vocabularySize());
        if (decoder == TextDecoder.NONE && !options.stopStrings().isEmpty()) {
            throw new IllegalArgumentException("Stop strings " + options.stopStrings() + " need text, but there is "
                    + "no decoder. Pass the tokenizer's, or leave the stop strings out.");
        }
    }

    /** One text while it is written. */
    private final class Text {

        private final int promptLength;
        private final TextDecoder decoder;
        private final GenerationListener listener;
        private final TokenHistory history = new TokenHistory();
        private final StopStrings stops = new StopStrings(options.stopStrings());
        private final StringBuilder text = new StringBuilder();
        private final float[] logits = new float[model.vocabularySize()];
        private final int[] chosen = new int[1];

        Text(int[] prompt, TextDecoder decoder, GenerationListener listener) {
            history.append(prompt);
            promptLength = prompt.length;
            this.decoder = decoder;
            this.listener = listener;
        }

        Generation write(LanguageModel.Session session, Sampler sampler) {
            long start = System.nanoTime();
            session.feed(Arrays.copyOf(history.array(), promptLength));
            session.logits(logits);
            long promptRead = System.nanoTime();
            FinishReason reason = step(sampler);
            while (reason == null) {
                session.feed(chosen);
                session.logits(logits);
                reason = step(sampler);
            }
            if (!stops.found()) {
                emit(stops.push(decoder.finish()));
                reason = stops.found() ? FinishReason.STOP_STRING : reason;
                emit(stops.flush());
            }
            long end = System.nanoTime();
            return new Generation(Arrays.copyOfRange(history.array(), promptLength, history.length()),
                    text.toString(), reason, promptLength, Duration.ofNanos(promptRead - start),
                    Duration.ofNanos(end - promptRead));
        }

        /** Chooses a token; gives the reason if it is the last, or null. */
        private FinishReason step(Sampler sampler) {
            int written = history.length() - promptLength;
            int token = sampler.next(history.array(), history.length(), logits, written);
            chosen[0] = token;
            history.append(chosen);
            listener.token(token);
            if (options.eosTokenIds().contains(token)) {
                return FinishReason.END_TOKEN;
            }
            emit(stops.push(decoder.push(token)));
            if (stops.found()) {
                return FinishReason.STOP_STRING;
            }
            if (written + 1 == options.maxNewTokens()) {
                return FinishReason.MAX_NEW_TOKENS;
            }
            // The last token may lie just beyond the context: it need not be read any more.
            return history.length() > model.contextLength() ? FinishReason.CONTEXT_FULL : null;
        }

        private void emit(String piece) {
            if (!piece.isEmpty()) {
                text.append(piece);
                listener.text(piece);
            }
        }
    }
}
