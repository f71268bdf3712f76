package dev.jotune.models.generate;

import dev.jotune.models.Models;
import dev.jotune.models.tokenizer.DecodeStream;
import dev.jotune.models.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** From text to text: a loaded model, its tokenizer and the adapters that are active when a text begins. */
public final class TextGenerator {
    private final Tokenizer tokenizer;
    private final LanguageModel model;
    private final Generator generator;
    private final int[] endTokens;

    /** @throws dev.jotune.models.ModelException if the model came without a tokenizer */
    public TextGenerator(Models.Loaded loaded, SamplingOptions options) {
        // A tokenizer's own truncation and padding are for training batches.
        this.tokenizer = loaded.requireTokenizer().withTruncation(Optional.empty()).withPadding(Optional.empty());
        this.model = new CausalLanguageModel(loaded.model(), loaded.model().seams()::inference);
        this.generator = new Generator(model, options);
        this.endTokens = loaded.generation().eosTokenIds();
    }

    private TextGenerator(TextGenerator other, Generator generator) {
        this.tokenizer = other.tokenizer;
        this.model = other.model;
        this.endTokens = other.endTokens;
        this.generator = generator;
    }

    /** This generator with another way to look for a text; see {@link Generator#with}. */
    public TextGenerator with(Strategy strategy) {
        return new TextGenerator(this, generator.with(strategy));
    }

    /** This generator, writing only what an automaton accepts; see {@link Generator#within}. */
    public TextGenerator within(TokenAutomaton constraint) {
        return new TextGenerator(this, generator.within(constraint));
    }

    /** This generator, writing only texts that match; see {@link RegexConstraint#of}. */
    public TextGenerator matching(String regex) {
        return within(RegexConstraint.of(regex, tokenizer, model.vocabularySize()));
    }

    /** This generator, writing one of several texts, each in the tokens that the tokenizer gives it. */
    public TextGenerator choosing(List<String> texts) {
        return within(new TokenChoices(texts.stream().map(text -> tokenizer.encode(text, false).ids()).toList()));
    }

    /** This generator, ending texts by one more condition. */
    public TextGenerator until(StopCondition condition) {
        return new TextGenerator(this, generator.until(condition));
    }

    /** Continues {@code prompt}. */
    public Generation generate(String prompt) {
        return generate(encode(prompt), 0, GenerationListener.NONE);
    }

    /** Continues {@code prompt}; texts of one seed and different rows have random numbers of their own. */
    public Generation generate(String prompt, long row) {
        return generate(encode(prompt), row, GenerationListener.NONE);
    }

    /** Continues several prompts together, of any lengths; the i-th as row i. */
    public List<Generation> generate(List<String> prompts) {
        List<TextRequest> requests = new ArrayList<>();
        for (String prompt : prompts) {
            requests.add(request(encode(prompt), requests.size(), GenerationListener.NONE));
        }
        return generator.generate(requests);
    }

    /**
     * Continues a prompt from {@link #encode}.
     *
     * @param listener hears the text as it comes
     */
    public Generation generate(int[] prompt, long row, GenerationListener listener) {
        return hypotheses(prompt, row, listener).getFirst().generation();
    }

    /** Continues a prompt; all the texts that the strategy gives, the best first. */
    public List<Hypothesis> hypotheses(int[] prompt, long row, GenerationListener listener) {
        return generator.hypotheses(List.of(request(prompt, row, listener))).getFirst();
    }

    private TextRequest request(int[] prompt, long row, GenerationListener listener) {
        DecodeStream stream = tokenizer.stream(true);
        // The prompt's last tokens decide how the first new one is spaced; their own text was given out before.
        for (int id : prompt) {
            stream.push(id);
        }
        return new TextRequest(prompt, row, new StreamDecoder(stream), listener);
    }

    private record StreamDecoder(DecodeStream stream) implements TextDecoder {
        @Override
        public String push(int id) {
            return stream.push(id);
        }

        @Override
        public String finish() {
            return stream.finish();
        }

        @Override
        public TextDecoder copy() {
            return new StreamDecoder(stream.copy());
        }
    }

    /**
     * The ids of a prompt: special tokens before it, no end token after it.
     *
     * @throws IllegalArgumentException if it is longer than the context, what adapters add included
     */
    public int[] encode(String prompt) {
        int[] ids = tokenizer.encode(prompt, true).ids();
        int last = ids.length == 0 ? -1 : ids[ids.length - 1];
        boolean ended = ids.length > 1 && Arrays.stream(endTokens).anyMatch(e -> e == last);
        int n = ended ? ids.length - 1 : ids.length;
        if (n > model.contextLength()) {
            throw new IllegalArgumentException("the prompt has " + n + " tokens, more than the model's context of "
                    + model.contextLength() + " (virtual tokens of adapters take their share). Shorten the prompt.");
        }
        return Arrays.copyOf(ids, n);
    }
}
