package dev.jotune.models.tokenizer;

import java.util.List;

/** Which pairs of tokens are joined, how early, and into what. */
final class BpeMerges {

    static final int NONE = LongIntMap.ABSENT;

    private final LongIntMap ranks;
    private final int[] results;
    /** Pairs of characters that stand side by side at the seam of some merge. */
    private final LongIntMap seams;

    private BpeMerges(int count) {
        ranks = new LongIntMap(count);
        results = new int[count];
        seams = new LongIntMap(count);
    }

    /** Reads merges given as {@code ["a", "b"]} or {@code "a b"}; both parts and the whole must be tokens. */
    static BpeMerges read(JsonView view, Vocabulary vocabulary, String prefix) {
        List<JsonView> entries = view.elements();
        BpeMerges merges = new BpeMerges(entries.size());
        for (int rank = 0; rank < entries.size(); rank++) {
            JsonView entry = entries.get(rank);
            String[] parts = parts(entry);
            String right = parts[1].startsWith(prefix) ? parts[1].substring(prefix.length()) : parts[1];
            merges.ranks.put(LongIntMap.pair(id(entry, vocabulary, parts[0]), id(entry, vocabulary, parts[1])), rank);
            merges.results[rank] = id(entry, vocabulary, parts[0] + right);
            if (!right.isEmpty()) {
                merges.seams.put(LongIntMap.pair(parts[0].codePointBefore(parts[0].length()), right.codePointAt(0)), 0);
            }
        }
        return merges;
    }

    private static String[] parts(JsonView entry) {
        if (entry.node().isTextual()) {
            String[] parts = entry.text().split(" ", -1);
            if (parts.length == 2 && !parts[0].isEmpty() && !parts[1].isEmpty()) {
                return parts;
            }
        } else {
            List<JsonView> parts = entry.elements();
            if (parts.size() == 2 && !parts.get(0).text().isEmpty() && !parts.get(1).text().isEmpty()) {
                return new String[] {parts.get(0).text(), parts.get(1).text()};
            }
        }
        throw entry.error("does not name two tokens. Write a merge as [\"a\", \"b\"] or \"a b\".");
    }

    private static int id(JsonView entry, Vocabulary vocabulary, String token) {
        int id = vocabulary.id(token);
        if (id == Vocabulary.ABSENT) {
            throw entry.error("names the token '" + token + "', which is not in model.vocab. Use the vocabulary and "
                    + "merges of the same tokenizer.");
        }
        return id;
    }

    /** How early {@code left} and {@code right} are joined (0 is first), or {@link #NONE}. */
    int rank(int left, int right) {
        return ranks.get(LongIntMap.pair(left, right));
    }

    int result(int rank) {
        return results[rank];
    }

    /** Whether any merge joins tokens of which the left ends with one character and the right begins with the other. */
    boolean mayJoin(int leftCharacter, int rightCharacter) {
        return seams.get(LongIntMap.pair(leftCharacter, rightCharacter)) != LongIntMap.ABSENT;
    }
}
