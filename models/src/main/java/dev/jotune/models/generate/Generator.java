package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Decodes any {@link LanguageModel}, a combination of several too, by any {@link Strategy}; several texts at once give
 * what each gives alone. A generator keeps nothing between texts; several threads may use it if the model lets several
 * sessions run at once.
 */
public final class Generator {

    private final LanguageModel model;
    private final Strategy strategy;
    private final TextRules rules;

    public Generator(LanguageModel model, SamplingOptions options) {
        this(model, options, List.of());
    }

    /**
     * @param extra processors applied before those of the options, one made for each text
     * @throws IllegalArgumentException if an end token or suppressed token is outside the model's vocabulary
     */
    public Generator(LanguageModel model, SamplingOptions options, List<Supplier<? extends LogitsProcessor>> extra) {
        this(model, Strategy.STEPWISE, new TextRules(options, extra, Optional.empty(), List.of()));
        Require.inVocabulary("eos_token_id", SamplingOptions.ints(options.eosTokenIds()), model.vocabularySize());
        Require.inVocabulary("suppress_tokens", SamplingOptions.ints(options.suppressTokens()),
                model.vocabularySize());
    }

    private Generator(LanguageModel model, Strategy strategy, TextRules rules) {
        this.model = model;
        this.strategy = strategy;
        this.rules = rules;
    }

    /**
     * This generator with another way to look for a text.
     *
     * @throws IllegalArgumentException if the strategy does not go with the model or the options
     */
    public Generator with(Strategy other) {
        other.check(model, rules.options());
        return new Generator(model, other, rules);
    }

    /** This generator over another model, of the same vocabulary. */
    public Generator over(LanguageModel other) {
        strategy.check(other, rules.options());
        return new Generator(other, strategy, rules);
    }

    /** This generator, writing only what an automaton accepts; end tokens come only where it accepts. */
    public Generator within(TokenAutomaton constraint) {
        return new Generator(model, strategy,
                new TextRules(rules.options(), rules.extra(), Optional.of(constraint), rules.stop()));
    }

    /** This generator, ending texts by one more condition. */
    public Generator until(StopCondition condition) {
        List<StopCondition> all = new ArrayList<>(rules.stop());
        all.add(condition);
        return new Generator(model, strategy, new TextRules(rules.options(), rules.extra(), rules.constraint(), all));
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
        return generate(List.of(new TextRequest(prompt, row, decoder, listener))).getFirst();
    }

    /** Continues several prompts together, of any lengths; each result is what the prompt would give alone. */
    public List<Generation> generate(List<TextRequest> requests) {
        return hypotheses(requests).stream().map(found -> found.getFirst().generation()).toList();
    }

    /** Continues several prompts together; all the texts that the strategy gives for each, the best first. */
    public List<List<Hypothesis>> hypotheses(List<TextRequest> requests) {
        requests.forEach(this::check);
        if (requests.isEmpty()) {
            return List.of();
        }
        List<Writing> texts = new ArrayList<>();
        for (TextRequest request : requests) {
            texts.add(new Writing(rules, request, strategy.contextLength(model)));
        }
        if (model.readsUnequal()) {
            return strategy.write(model, texts);
        }
        Map<Writing, List<Hypothesis>> found = new IdentityHashMap<>();
        for (List<Writing> alike : texts.stream().collect(Collectors.groupingBy(Writing::promptLength)).values()) {
            List<List<Hypothesis>> ofThese = strategy.write(model, alike);
            for (int i = 0; i < alike.size(); i++) {
                found.put(alike.get(i), ofThese.get(i));
            }
        }
        return texts.stream().map(found::get).toList();
    }

    private void check(TextRequest request) {
        int[] prompt = request.prompt();
        if (prompt.length == 0) {
            throw new IllegalArgumentException("The prompt has 0 tokens. Begin at least with the "
                    + "beginning-of-text token.");
        }
        if (prompt.length > model.contextLength()) {
            throw new IllegalArgumentException("The prompt has " + prompt.length + " tokens, more than the model's "
                    + "context of " + model.contextLength() + ". Shorten the prompt.");
        }
        int longest = rules.options().maxLength();
        if (longest > 0 && prompt.length >= longest) {
            throw new IllegalArgumentException("The prompt has " + prompt.length + " tokens, but max_length is "
                    + longest + ", prompt included. Raise it.");
        }
        Require.inVocabulary("The prompt", prompt, model.vocabularySize());
        if (request.decoder() == TextDecoder.NONE && !rules.options().stopStrings().isEmpty()) {
            throw new IllegalArgumentException("Stop strings " + rules.options().stopStrings() + " need text, but there "
                    + "is no decoder. Pass the tokenizer's, or leave the stop strings out.");
        }
    }
}
