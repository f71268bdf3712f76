package dev.jotune.models.generate;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.DecodeStream;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * From text to text: a loaded model, its tokenizer and the adapters that are active when a text begins. A decoder continues
 * its prompt; an encoder-decoder reads it, and writes a text of its own.
 */
public final class TextGenerator {
    private final Tokenizer tokenizer;
    private final Optional<Seq2SeqLm> reader;
    private final LanguageModel model;
    private final Generator generator;
    private final int[] endTokens;

    /** @throws dev.jotune.models.ModelException if the model came without a tokenizer, or is none that writes */
    public TextGenerator(Models.Loaded loaded, SamplingOptions options) {
        // A tokenizer's own truncation and padding are for training batches.
        this.tokenizer = loaded.requireTokenizer().withTruncation(Optional.empty()).withPadding(Optional.empty());
        this.reader = loaded.backbone() instanceof Seq2SeqLm seq2seq ? Optional.of(seq2seq) : Optional.empty();
        this.model = reader.<LanguageModel>map(UnreadSource::new)
                .orElseGet(() -> new CausalLanguageModel(loaded.model(), loaded.model().seams()::inference));
        this.generator = new Generator(model, options);
        this.endTokens = loaded.generation().eosTokenIds();
    }

    private TextGenerator(TextGenerator other, Generator generator) {
        this(other, other.model, generator);
    }

    private TextGenerator(TextGenerator other, LanguageModel model, Generator generator) {
        this.tokenizer = other.tokenizer;
        this.reader = other.reader;
        this.model = model;
        this.endTokens = other.endTokens;
        this.generator = generator;
    }

    /** This generator with another way to look for a text; see {@link Generator#with}. */
    public TextGenerator with(Strategy strategy) {
        return new TextGenerator(this, generator.with(strategy));
    }

    /**
     * This generator over a combination of decoders, such as {@link Logits} makes, that share the tokenizer.
     *
     * @throws IllegalArgumentException if the vocabularies differ, or the model is an encoder-decoder
     */
    public TextGenerator over(LanguageModel combination) {
        if (reader.isPresent() || combination.vocabularySize() != model.vocabularySize()) {
            throw new IllegalArgumentException(reader.isPresent() ? "An encoder-decoder's source has no place in a combination of "
                    + "decoders. Take a decoder." : "The combination has " + combination.vocabularySize() + " tokens, the model "
                    + model.vocabularySize() + ". Combine models that share a tokenizer, or cut off what pads the longer vocabulary.");
        }
        return new TextGenerator(this, combination, generator.over(combination));
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
        return hypotheses(requests).stream().map(found -> found.getFirst().generation()).toList();
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
        return hypotheses(List.of(request(prompt, row, listener))).getFirst();
    }

    private TextRequest request(int[] prompt, long row, GenerationListener listener) {
        DecodeStream stream = tokenizer.stream(true);
        // The prompt's last tokens decide how the first new one is spaced; their own text was given out before.
        for (int id : reader.isPresent() ? new int[0] : prompt) {
            stream.push(id);
        }
        return new TextRequest(prompt, row, new StreamDecoder(stream), listener);
    }

    private List<List<Hypothesis>> hypotheses(List<TextRequest> requests) {
        if (reader.isEmpty() || requests.isEmpty()) {
            return generator.hypotheses(requests);
        }
        Seq2SeqLm seq2seq = reader.get();
        try (Scope _ = Scope.open()) {
            Pass pass = seq2seq.seams().inference();
            Encoded source = Recording.off(() -> seq2seq.encode(sources(seq2seq.backend(), requests), pass));
            return generator.over(new CausalLanguageModel(seq2seq.given(source), pass)).hypotheses(requests.stream()
                    .map(r -> new TextRequest(new int[] {seq2seq.decoderStartToken()}, r.row(), r.decoder(), r.listener())).toList());
        }
    }

    /** The sources as rows, the shorter ones padded and masked on the right. */
    private static EncoderInput sources(Backend backend, List<TextRequest> requests) {
        List<int[]> texts = requests.stream().map(TextRequest::prompt).toList();
        int time = texts.stream().mapToInt(ids -> ids.length).max().orElse(0);
        long[] ids = new long[texts.size() * time];
        boolean[] real = new boolean[ids.length];
        for (int b = 0; b < texts.size(); b++) {
            for (int t = 0; t < texts.get(b).length; t++) {
                ids[b * time + t] = texts.get(b)[t];
                real[b * time + t] = true;
            }
        }
        EncoderInput input = EncoderInput.of(Tensor.of(backend, ids, texts.size(), time));
        return texts.stream().allMatch(text -> text.length == time) ? input
                : input.withMask(Tensor.of(backend, real, texts.size(), time));
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
     * The ids of a prompt: special tokens before it, and no end token after it unless it is an encoder's.
     *
     * @throws IllegalArgumentException if it is longer than the context, what adapters add included
     */
    public int[] encode(String prompt) {
        return encode(prompt, true);
    }

    /**
     * The ids of a prompt, no end token after it.
     *
     * @param addSpecialTokens whether special tokens are put before it; what a chat template wrote has its own
     * @throws IllegalArgumentException if it is longer than the context, what adapters add included
     */
    public int[] encode(String prompt, boolean addSpecialTokens) {
        int[] ids = tokenizer.encode(prompt, addSpecialTokens).ids();
        int last = ids.length == 0 ? -1 : ids[ids.length - 1];
        boolean ended = addSpecialTokens && reader.isEmpty() && ids.length > 1 && Arrays.stream(endTokens).anyMatch(e -> e == last);
        int n = ended ? ids.length - 1 : ids.length;
        if (n > model.contextLength()) {
            throw new IllegalArgumentException("the prompt has " + n + " tokens, more than the model's context of "
                    + model.contextLength() + " (virtual tokens of adapters take their share). Shorten the prompt.");
        }
        return Arrays.copyOf(ids, n);
    }

    /** Stands for an encoder-decoder until there is a source: what is known of the model before. */
    private record UnreadSource(Seq2SeqLm of) implements StatefulModel {
        @Override
        public int vocabularySize() {
            return of.vocabularySize();
        }

        @Override
        public int contextLength() {
            return of.contextLength();
        }

        @Override
        public Session open() {
            throw new IllegalStateException("An encoder-decoder writes only once it has read a source.");
        }

        @Override
        public StatefulBatch openStateful(int rows) {
            throw new IllegalStateException("An encoder-decoder writes only once it has read a source.");
        }
    }
}
