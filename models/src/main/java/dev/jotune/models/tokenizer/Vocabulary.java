package dev.jotune.models.tokenizer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Tokens and their ids; ids need not be consecutive. */
final class Vocabulary {

    static final int ABSENT = -1;

    private final Map<String, Integer> ids;
    private final Map<Integer, String> tokens;

    private Vocabulary(Map<String, Integer> ids, Map<Integer, String> tokens) {
        this.ids = ids;
        this.tokens = tokens;
    }

    /** Reads an object that maps tokens to ids, refusing ids that are negative, fractional or given twice. */
    static Vocabulary read(JsonView view) {
        Map<String, Integer> ids = HashMap.newHashMap(view.node().size());
        Map<Integer, String> tokens = HashMap.newHashMap(view.node().size());
        view.forEachField((token, value) -> {
            int id = value.natural();
            String other = tokens.put(id, token);
            if (other != null) {
                throw view.error("gives the id " + id + " to both '" + other + "' and '" + token
                        + "'. Each id may be used once.");
            }
            ids.put(token, id);
        });
        return new Vocabulary(ids, tokens);
    }

    /** Tokens whose ids are their places in the list; where one occurs twice, the later place is its id. */
    static Vocabulary of(List<String> list) {
        Map<String, Integer> ids = HashMap.newHashMap(list.size());
        Map<Integer, String> tokens = HashMap.newHashMap(list.size());
        for (int id = 0; id < list.size(); id++) {
            ids.put(list.get(id), id);
            tokens.put(id, list.get(id));
        }
        return new Vocabulary(ids, tokens);
    }

    int size() {
        return ids.size();
    }

    boolean contains(String token) {
        return ids.containsKey(token);
    }

    /** The id of {@code token} or {@link #ABSENT}. */
    int id(String token) {
        return ids.getOrDefault(token, ABSENT);
    }

    /** The token of {@code id} or null. */
    String token(int id) {
        return tokens.get(id);
    }

    Map<String, Integer> ids() {
        return ids;
    }
}
