package dev.jotune.models.remote;

import dev.jotune.models.ModelException;
import dev.jotune.models.generate.IncrementalSession;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * A served model of which the k likeliest next tokens are known: their log-probabilities are its logits, and all other
 * tokens are ruled out. In a combination it is the base: the others re-rank its k tokens and add none. Every place of a
 * text is one request; the server keeps what it keeps, and nothing is cached here but the last answer.
 */
public final class RemoteModel implements LanguageModel {

    private final RemoteSettings settings;
    private final Completions completions;
    private final Tokenizer tokenizer;
    private final int vocabularySize;
    private final Map<String, Integer> pieces;

    /**
     * @param tokenizer the served model's, by which texts are sent as ids
     * @param vocabularySize V, that of the models it is combined with
     */
    public RemoteModel(RemoteSettings settings, Tokenizer tokenizer, int vocabularySize) {
        this.settings = settings;
        this.completions = new Completions(settings);
        this.tokenizer = tokenizer;
        this.vocabularySize = vocabularySize;
        this.pieces = pieces(tokenizer, vocabularySize);
    }

    /** The ids of tokens by what they write; a byte that stands for itself gives way to a token of the same text. */
    private static Map<String, Integer> pieces(Tokenizer tokenizer, int vocabularySize) {
        Map<String, Integer> out = new HashMap<>();
        byte[][] bytes = tokenizer.tokenBytes(vocabularySize);
        for (int id = 0; id < vocabularySize; id++) {
            String text = new String(bytes[id], StandardCharsets.UTF_8);
            boolean whole = bytes[id].length > 0 && Arrays.equals(text.getBytes(StandardCharsets.UTF_8), bytes[id]);
            if (whole && !tokenizer.idToToken(id).orElse("").matches("<0x[0-9A-F]{2}>")) {
                out.putIfAbsent(text, id);
            }
        }
        return out;
    }

    /** What is to be said to people: how little is known of this model. */
    public String note() {
        return settings.model() + " tells its " + settings.topK() + " likeliest tokens only: a combination re-ranks these and adds none.";
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    /** The server alone knows; it refuses what is too long. */
    @Override
    public int contextLength() {
        return Integer.MAX_VALUE;
    }

    @Override
    public Session open() {
        return new IncrementalSession(this) {
            @Override
            protected void advance(int[] history, int from, int to, float[] logits) {
                likeliest(Arrays.copyOf(history, to), logits);
            }

            @Override
            protected int truncate(int length) {
                return length;
            }

            @Override
            protected void release() {
                // Nothing is kept between requests.
            }
        };
    }

    private void likeliest(int[] history, float[] logits) {
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        List<Completions.Candidate> candidates = completions.next(history);
        boolean known = false;
        for (Completions.Candidate candidate : candidates) {
            OptionalInt id = id(candidate);
            if (id.isPresent() && id.getAsInt() >= 0 && id.getAsInt() < vocabularySize) {
                known = true;
                logits[id.getAsInt()] = Math.max(logits[id.getAsInt()], (float) candidate.logProbability());
            }
        }
        if (!known) {
            throw new ModelException("None of the " + candidates.size() + " tokens that " + settings.model() + " proposes is one of the "
                    + "tokenizer, neither '" + Completions.shortened(candidates.getFirst().text(), settings.key())
                    + "'. Use the tokenizer of the served model.");
        }
    }

    private OptionalInt id(Completions.Candidate candidate) {
        if (candidate.id().isPresent()) {
            return candidate.id();
        }
        Integer piece = pieces.get(candidate.text());
        return piece != null ? OptionalInt.of(piece) : tokenizer.tokenToId(candidate.text());
    }
}
