package dev.jotune.models.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Byte-pair encoding: a word begins as its characters, and the pair of neighbours with the earliest merge is joined
 * until no merge applies (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909).
 *
 * <p>Characters outside the vocabulary become their bytes ({@code <0xE2>}) where {@code byte_fallback} is on, else the
 * unknown token. Safe for use by many threads.
 */
final class Bpe implements Model {

    private static final int CACHED_WORDS = 1 << 15;
    private static final int LONGEST_CACHED = 64;

    private final Vocabulary vocabulary;
    private final BpeMerges merges;
    private final BpeOptions options;
    private final LongIntMap characters;
    private final int[] bytes;
    private final int unknown;
    private final boolean affixes;
    /** Tokens of words already seen: id, start, end for each. */
    private final Map<String, int[]> seen = new ConcurrentHashMap<>();

    private Bpe(Vocabulary vocabulary, BpeMerges merges, BpeOptions options) {
        this.vocabulary = vocabulary;
        this.merges = merges;
        this.options = options;
        this.characters = new LongIntMap(1024);
        vocabulary.ids().forEach((token, id) -> {
            if (!token.isEmpty() && token.codePointCount(0, token.length()) == 1) {
                characters.put(token.codePointAt(0), id);
            }
        });
        this.bytes = new int[256];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = options.byteFallback() ? vocabulary.id(ByteFallback.token(i)) : Vocabulary.ABSENT;
        }
        this.unknown = options.unknownToken().map(vocabulary::id).orElse(Vocabulary.ABSENT);
        this.affixes = !options.prefix().isEmpty() || !options.suffix().isEmpty();
    }

    static Bpe read(JsonView view) {
        Vocabulary vocabulary = Vocabulary.read(view.field("vocab"));
        BpeOptions options = BpeOptions.read(view);
        return new Bpe(vocabulary, BpeMerges.read(view.field("merges"), vocabulary, options.prefix()), options);
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public void tokenize(NormalizedText word, Sink sink) {
        if (options.ignoreMerges()) {
            int id = vocabulary.id(word.toString());
            if (id != Vocabulary.ABSENT) {
                sink.add(id, 0, word.length());
                return;
            }
        }
        if (affixes) {
            tokenizeSeen(word, 0, word.length(), sink);
            return;
        }
        // No merge reaches across two characters that no merge ever joins, so the word may be cut there. This keeps
        // pieces short (and often seen before) even where the model gets a whole text as one word.
        int from = 0;
        for (int i = 1; i < word.length(); i++) {
            if (separable(word.codePoint(i - 1), word.codePoint(i))) {
                tokenizeSeen(word, from, i, sink);
                from = i;
            }
        }
        tokenizeSeen(word, from, word.length(), sink);
    }

    private boolean separable(int left, int right) {
        return !merges.mayJoin(left, right)
                && characters.get(left) != LongIntMap.ABSENT && characters.get(right) != LongIntMap.ABSENT;
    }

    private void tokenizeSeen(NormalizedText word, int from, int to, Sink sink) {
        if (to - from > LONGEST_CACHED) {
            emit(merge(word, from, to), from, sink);
            return;
        }
        String key = word.substring(from, to);
        int[] tokens = seen.get(key);
        if (tokens == null) {
            tokens = merge(word, from, to);
            if (seen.size() < CACHED_WORDS) {
                seen.put(key, tokens);
            }
        }
        emit(tokens, from, sink);
    }

    private static void emit(int[] tokens, int from, Sink sink) {
        for (int i = 0; i < tokens.length; i += 3) {
            sink.add(tokens[i], from + tokens[i + 1], from + tokens[i + 2]);
        }
    }

    private int[] merge(NormalizedText word, int from, int to) {
        BpeWord symbols = new BpeWord(to - from);
        int unknownStart = -1;
        for (int i = from; i < to; i++) {
            int at = i - from;
            int id = symbol(word.codePoint(i), i == from, i == to - 1);
            if (id != LongIntMap.ABSENT) {
                if (unknownStart >= 0) {
                    symbols.add(unknown, unknownStart, at);
                    unknownStart = -1;
                }
                symbols.add(id, at, at + 1);
            } else if (!addBytes(word.codePoint(i), at, symbols) && options.unknownToken().isPresent()) {
                requireUnknown(word.codePoint(i));
                if (unknownStart >= 0 && !options.fuseUnknown()) {
                    symbols.add(unknown, unknownStart, at);
                    unknownStart = at;
                } else if (unknownStart < 0) {
                    unknownStart = at;
                }
            }
        }
        if (unknownStart >= 0) {
            symbols.add(unknown, unknownStart, to - from);
        }
        symbols.merge(merges);
        return symbols.tokens();
    }

    private int symbol(int codePoint, boolean first, boolean last) {
        if (!affixes) {
            return characters.get(codePoint);
        }
        String text = Character.toString(codePoint);
        return vocabulary.id((first ? "" : options.prefix()) + text + (last ? options.suffix() : ""));
    }

    private boolean addBytes(int codePoint, int at, BpeWord symbols) {
        if (!options.byteFallback()) {
            return false;
        }
        byte[] encoded = Character.toString(codePoint).getBytes(StandardCharsets.UTF_8);
        for (byte value : encoded) {
            if (bytes[value & 0xFF] == Vocabulary.ABSENT) {
                return false;
            }
        }
        for (byte value : encoded) {
            symbols.add(bytes[value & 0xFF], at, at + 1);
        }
        return true;
    }

    private void requireUnknown(int codePoint) {
        if (unknown == Vocabulary.ABSENT) {
            throw new TokenizerException("The character '" + Character.toString(codePoint)
                    + "' is not in the vocabulary, and neither is the unknown token '"
                    + options.unknownToken().orElse("") + "'. Use a tokenizer "
                    + "whose vocabulary has one.");
        }
    }
}
