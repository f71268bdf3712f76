package dev.jotune.models.tokenizer;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Learns a byte-level BPE tokenizer from texts (Sennrich et al., arXiv 1508.07909, algorithm 1; over bytes as in Radford et al.
 * 2019): of all pairs of neighbouring tokens within words the most frequent becomes a token, again and again. Every text can be
 * written with the result, since all 256 bytes are tokens. Of equally frequent pairs the one of smaller ids is taken, as Hugging
 * Face's trainer does, so texts and size determine the file.
 */
public final class BpeTrainer {
    /** Begins a text. */
    public static final String BEGIN = "<s>";
    /** Ends a text. */
    public static final String END = "</s>";
    /** Ids of {@link #BEGIN} and {@link #END}. */
    public static final int BEGIN_ID = 0;
    public static final int END_ID = 1;
    /** Special tokens and bytes: no vocabulary is smaller. */
    public static final int SMALLEST = 258;
    /** A pair seen once says nothing about the language. */
    private static final int LEAST_COUNT = 2;

    private static final ByteLevel BYTES = new ByteLevel(false, false, true);

    /** Tokens a and b, neighbours. */
    private record Pair(int a, int b) {}

    /** Ids by token, in their order. */
    private final Map<String, Integer> vocabulary = new LinkedHashMap<>();
    private final List<String> tokens = new ArrayList<>();
    private final List<Pair> merges = new ArrayList<>();
    /** Different words as ids, and how often each comes. */
    private final List<int[]> words = new ArrayList<>();
    private final List<Long> counts = new ArrayList<>();
    private final Map<Pair, Long> pairs = new HashMap<>();
    /** The words in which a pair comes, or came. */
    private final Map<Pair, Set<Integer>> where = new HashMap<>();

    private BpeTrainer() {}

    /**
     * The text of a {@code tokenizer.json}, which begins every text with {@link #BEGIN}.
     *
     * @param vocabularySize how many tokens at most; fewer where the texts have no further pair that comes twice
     * @throws IllegalArgumentException if that is less than {@link #SMALLEST}, or there is no text
     */
    public static String train(List<String> texts, int vocabularySize) {
        if (vocabularySize < SMALLEST) {
            throw new IllegalArgumentException("the vocabulary is to have " + vocabularySize + " tokens. Give it at least " + SMALLEST
                    + ": the 256 bytes, and what begins and ends a text.");
        }
        BpeTrainer trainer = new BpeTrainer();
        trainer.begin(texts);
        while (trainer.tokens.size() < vocabularySize && trainer.merge()) {
            // A merge may give a token that two others gave before.
        }
        return trainer.json();
    }

    private void begin(List<String> texts) {
        List.of(BEGIN, END).forEach(this::add);
        IntStream.range(0, 256).map(ByteLevel::visible).sorted().forEach(c -> add(Character.toString(c)));
        Map<String, Long> seen = new LinkedHashMap<>();
        for (String text : texts) {
            BYTES.split(NormalizedText.of(text)).forEach(w -> seen.merge(w.toString(), 1L, Long::sum));
        }
        if (seen.isEmpty()) {
            throw new IllegalArgumentException("there is no text to learn a tokenizer from. Give at least one that is not empty.");
        }
        seen.forEach((word, count) -> {
            int[] ids = word.codePoints().map(c -> vocabulary.get(Character.toString(c))).toArray();
            words.add(ids);
            counts.add(count);
            count(words.size() - 1, ids, count);
        });
    }

    private int add(String token) {
        return vocabulary.computeIfAbsent(token, t -> {
            tokens.add(t);
            return tokens.size() - 1;
        });
    }

    private void count(int word, int[] ids, long count) {
        for (int i = 0; i + 1 < ids.length; i++) {
            Pair p = new Pair(ids[i], ids[i + 1]);
            pairs.merge(p, count, Long::sum);
            where.computeIfAbsent(p, x -> new HashSet<>()).add(word);
        }
    }

    /** Merges the most frequent pair; false if none comes often enough. */
    private boolean merge() {
        Pair best = null;
        long most = LEAST_COUNT - 1;
        for (Map.Entry<Pair, Long> e : pairs.entrySet()) {
            long count = e.getValue();
            if (count > most || best != null && count == most && precedes(e.getKey(), best)) {
                best = e.getKey();
                most = count;
            }
        }
        if (best == null) {
            return false;
        }
        merges.add(best);
        int merged = add(tokens.get(best.a) + tokens.get(best.b));
        for (int word : where.remove(best)) {
            int[] old = words.get(word);
            count(word, old, -counts.get(word));
            words.set(word, merged(old, best, merged));
            count(word, words.get(word), counts.get(word));
        }
        // Counting the old words down noted them anew.
        where.remove(best);
        pairs.values().removeIf(n -> n == 0);
        return true;
    }

    private static boolean precedes(Pair p, Pair q) {
        return p.a != q.a ? p.a < q.a : p.b < q.b;
    }

    private static int[] merged(int[] word, Pair pair, int id) {
        int[] out = new int[word.length];
        int n = 0;
        for (int i = 0; i < word.length; i++) {
            boolean both = i + 1 < word.length && word[i] == pair.a && word[i + 1] == pair.b;
            out[n++] = both ? id : word[i];
            i += both ? 1 : 0;
        }
        return Arrays.copyOf(out, n);
    }

    // ---- the file ----

    private String json() {
        JsonMapper json = new JsonMapper();
        ObjectNode root = json.createObjectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (String special : List.of(BEGIN, END)) {
            added.addObject().put("id", vocabulary.get(special)).put("content", special).put("single_word", false).put("lstrip", false)
                    .put("rstrip", false).put("normalized", false).put("special", true);
        }
        root.putNull("normalizer");
        byteLevel(root.putObject("pre_tokenizer"));
        ObjectNode template = root.putObject("post_processor").put("type", "TemplateProcessing");
        ArrayNode single = template.putArray("single");
        part(single, "SpecialToken", BEGIN, 0);
        part(single, "Sequence", "A", 0);
        ArrayNode pair = template.putArray("pair");
        part(pair, "SpecialToken", BEGIN, 0);
        part(pair, "Sequence", "A", 0);
        part(pair, "SpecialToken", BEGIN, 1);
        part(pair, "Sequence", "B", 1);
        ObjectNode begin = template.putObject("special_tokens").putObject(BEGIN).put("id", BEGIN);
        begin.putArray("ids").add(BEGIN_ID);
        begin.putArray("tokens").add(BEGIN);
        byteLevel(root.putObject("decoder"));
        ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout").putNull("unk_token")
                .putNull("continuing_subword_prefix").putNull("end_of_word_suffix").put("fuse_unk", false).put("byte_fallback", false)
                .put("ignore_merges", false);
        ObjectNode ids = model.putObject("vocab");
        vocabulary.forEach(ids::put);
        ArrayNode list = model.putArray("merges");
        merges.forEach(m -> list.addArray().add(tokens.get(m.a)).add(tokens.get(m.b)));
        return root.toPrettyString();
    }

    private static void byteLevel(ObjectNode node) {
        node.put("type", "ByteLevel").put("add_prefix_space", BYTES.addPrefixSpace()).put("trim_offsets", BYTES.trimOffsets())
                .put("use_regex", BYTES.split());
    }

    private static void part(ArrayNode template, String kind, String id, int type) {
        template.addObject().putObject(kind).put("id", id).put("type_id", type);
    }
}
