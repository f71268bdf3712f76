package dev.jotune.models.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Cuts a word into the pieces whose scores (logarithms of probabilities) have the greatest sum, found by dynamic
 * programming (Kudo 2018, https://arxiv.org/abs/1804.10959).
 *
 * <p>A character that is no piece may be taken as unknown, for the lowest score less 10. Neighbouring unknown
 * characters become one token.
 */
final class Unigram implements Model {

    private static final double UNKNOWN_PENALTY = 10;

    private final Vocabulary vocabulary;
    private final double[] scores;
    private final TokenTrie pieces = new TokenTrie();
    private final double unknownScore;
    private final int unknown;
    private final boolean byteFallback;

    private Unigram(List<String> tokens, double[] scores, int unknown, boolean byteFallback) {
        this.vocabulary = Vocabulary.of(tokens);
        this.scores = scores;
        this.unknown = unknown;
        this.byteFallback = byteFallback;
        this.unknownScore = Arrays.stream(scores).min().orElse(0) - UNKNOWN_PENALTY;
        vocabulary.ids().forEach((token, id) -> {
            if (!token.isEmpty()) {
                pieces.add(token, id);
            }
        });
    }

    static Unigram read(JsonView view) {
        List<JsonView> entries = view.field("vocab").elements();
        List<String> tokens = new ArrayList<>(entries.size());
        double[] scores = new double[entries.size()];
        for (int i = 0; i < scores.length; i++) {
            List<JsonView> entry = entries.get(i).elements();
            if (entry.size() != 2 || !Double.isFinite(entry.get(1).number())) {
                throw entries.get(i).error("is not a piece with a finite score. Write [\"piece\", score].");
            }
            entry.getFirst().requireShortToken(entry.getFirst().text());
            tokens.add(entry.get(0).text());
            scores[i] = entry.get(1).number();
        }
        Optional<JsonView> unknown = view.optional("unk_id");
        unknown.ifPresent(id -> {
            if (id.natural() >= scores.length) {
                throw id.error("is " + id.natural() + ", but model.vocab has " + scores.length
                        + " entries. Give the place of the unknown token.");
            }
        });
        return new Unigram(tokens, scores, unknown.map(JsonView::natural).orElse(Vocabulary.ABSENT),
                view.bool("byte_fallback", false));
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public int shownAsInText() {
        return unknown;
    }

    @Override
    public void tokenize(NormalizedText word, Sink sink) {
        int length = word.length();
        int[] from = new int[length + 1];
        int[] ids = new int[length + 1];
        bestPath(word, from, ids);
        // The path is found from its end; turn it round by noting where each token ends.
        int[] to = new int[length + 1];
        for (int end = length; end > 0; end = from[end]) {
            to[from[end]] = end;
        }
        for (int start = 0; start < length; ) {
            int end = to[start];
            int id = ids[end];
            while (id == unknown && end < length && ids[to[end]] == unknown) {
                end = to[end];
            }
            if (id == unknown) {
                addUnknown(word, start, end, sink);
            } else {
                sink.add(id, start, end);
            }
            start = end;
        }
    }

    /** For each end of a token on the way: where the best token that ends there begins, and its id. */
    private void bestPath(NormalizedText word, int[] from, int[] ids) {
        int length = word.length();
        double[] best = new double[length + 1];
        Arrays.fill(from, -1);
        for (int start = 0; start < length; start++) {
            boolean single = false;
            int node = pieces.child(TokenTrie.ROOT, word.codePoint(start));
            for (int end = start + 1; node != TokenTrie.ABSENT; end++) {
                int id = pieces.value(node);
                if (id != TokenTrie.ABSENT) {
                    single |= end == start + 1;
                    improve(best, from, ids, start, end, id, scores[id]);
                }
                node = end < length ? pieces.child(node, word.codePoint(end)) : TokenTrie.ABSENT;
            }
            if (!single) {
                improve(best, from, ids, start, start + 1, unknown, unknownScore);
            }
        }
    }

    private static void improve(double[] best, int[] from, int[] ids, int start, int end, int id, double score) {
        double candidate = best[start] + score;
        if (from[end] < 0 || candidate > best[end]) {
            best[end] = candidate;
            from[end] = start;
            ids[end] = id;
        }
    }

    private void addUnknown(NormalizedText word, int start, int end, Sink sink) {
        String text = word.substring(start, end);
        int whole = vocabulary.id(text);
        if (whole != Vocabulary.ABSENT) {
            sink.add(whole, start, end);
            return;
        }
        if (byteFallback && addBytes(text, start, end, sink)) {
            return;
        }
        if (unknown == Vocabulary.ABSENT) {
            throw new TokenizerException("The text '" + text + "' is not in the vocabulary, and there is no unknown "
                    + "token (model.unk_id). Use a tokenizer that has one.");
        }
        sink.add(unknown, start, end);
    }

    private boolean addBytes(String text, int start, int end, Sink sink) {
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        int[] found = new int[encoded.length];
        for (int i = 0; i < found.length; i++) {
            found[i] = vocabulary.id(ByteFallback.token(encoded[i] & 0xFF));
            if (found[i] == Vocabulary.ABSENT) {
                return false;
            }
        }
        for (int id : found) {
            sink.add(id, start, end);
        }
        return true;
    }
}
