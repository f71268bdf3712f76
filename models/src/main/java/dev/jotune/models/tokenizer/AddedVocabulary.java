package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** The added tokens of a tokenizer, and how they are cut out of a text. */
final class AddedVocabulary {

    /** A stretch of text: an added token, or (where {@code addedId} is {@link #TEXT}) text for the model. */
    record Part(NormalizedText text, int addedId) {
        static final int TEXT = -1;
    }

    private final Map<Integer, AddedToken> byId = new HashMap<>();
    private final Map<String, AddedToken> byContent = new HashMap<>();
    private final Map<Integer, String> shown = new HashMap<>();
    private final TokenTrie plain = new TokenTrie();
    private final TokenTrie normalized = new TokenTrie();
    private final UnaryOperator<NormalizedText> normalizer;

    private AddedVocabulary(Optional<Normalizer> normalizer) {
        this.normalizer = normalizer.<UnaryOperator<NormalizedText>>map(n -> n::normalize)
                .orElse(UnaryOperator.identity());
    }

    /** Reads the array {@code added_tokens}; a token that the model knows too must have the same id there. */
    static AddedVocabulary read(Optional<JsonView> view, Optional<Normalizer> normalizer, Vocabulary model) {
        AddedVocabulary added = new AddedVocabulary(normalizer);
        for (JsonView entry : view.map(JsonView::elements).orElse(List.of())) {
            added.add(entry, AddedToken.read(entry), model);
        }
        return added;
    }

    private void add(JsonView entry, AddedToken token, Vocabulary model) {
        if (token.content().isEmpty() || token.content().length() > TokenTrie.LONGEST) {
            throw entry.error("has " + token.content().length() + " characters. An added token has 1 to "
                    + TokenTrie.LONGEST + ".");
        }
        int modelId = model.id(token.content());
        if (modelId != Vocabulary.ABSENT && modelId != token.id()) {
            throw entry.error("gives '" + token.content() + "' the id " + token.id() + ", but model.vocab gives it "
                    + modelId + ". Give it one id.");
        }
        String other = model.token(token.id());
        if (other != null && !other.equals(token.content())) {
            throw entry.error("gives '" + token.content() + "' the id " + token.id() + ", which model.vocab gives to '"
                    + other + "'. Give it another id.");
        }
        if (byId.put(token.id(), token) != null || byContent.put(token.content(), token) != null) {
            throw entry.error("repeats the id " + token.id() + " or the content '" + token.content()
                    + "' of an added token before it. Remove one of them.");
        }
        String form = token.normalized()
                ? normalizer.apply(NormalizedText.of(token.content())).toString() : token.content();
        if (form.length() > TokenTrie.LONGEST) {
            throw entry.error("grows to " + form.length() + " characters when normalised. An added token has at most "
                    + TokenTrie.LONGEST + ".");
        }
        shown.put(token.id(), form);
        if (!form.isEmpty()) {
            (token.normalized() ? normalized : plain).add(form, token.id());
        }
    }

    int idOf(String content) {
        AddedToken token = byContent.get(content);
        return token == null ? Vocabulary.ABSENT : token.id();
    }

    /** How the token {@code id} reads when decoded (a normalised token in its normalised form), or null. */
    String shown(int id) {
        return shown.get(id);
    }

    boolean isSpecial(String content) {
        AddedToken token = byContent.get(content);
        return token != null && token.special();
    }

    Optional<AddedToken> token(int id) {
        return Optional.ofNullable(byId.get(id));
    }

    /** All added tokens in the order of their ids. */
    List<AddedToken> tokens() {
        return byId.values().stream().sorted(Comparator.comparingInt(AddedToken::id)).toList();
    }

    /** Cuts out the added tokens: first those of the raw text, then, from the normalised rest, the others. */
    List<Part> extract(NormalizedText text) {
        List<Part> parts = new ArrayList<>();
        for (Part part : cut(text, plain)) {
            if (part.addedId() != Part.TEXT) {
                parts.add(part);
            } else if (!part.text().isEmpty()) {
                parts.addAll(cut(normalizer.apply(part.text()), normalized));
            }
        }
        return parts;
    }

    private List<Part> cut(NormalizedText text, TokenTrie trie) {
        if (trie.isEmpty()) {
            // A slice, so that the piece begins where its first remaining character does.
            return List.of(new Part(text.slice(0, text.length()), Part.TEXT));
        }
        List<Part> parts = new ArrayList<>();
        int done = 0;
        for (int i = 0; i < text.length(); ) {
            long match = trie.longest(text, i);
            if (match == TokenTrie.ABSENT) {
                i++;
                continue;
            }
            int start = i;
            int stop = (int) match;
            i = stop;
            AddedToken token = byId.get((int) (match >>> 32));
            if (token.singleWord() && touchesWord(text, start, stop)) {
                continue;
            }
            while (token.lstrip() && start > done && Characters.isWhiteSpace(text.codePoint(start - 1))) {
                start--;
            }
            while (token.rstrip() && stop < text.length() && Characters.isWhiteSpace(text.codePoint(stop))) {
                stop++;
            }
            if (done < start) {
                parts.add(new Part(text.slice(done, start), Part.TEXT));
            }
            parts.add(new Part(text.slice(start, stop), token.id()));
            done = stop;
        }
        if (done < text.length()) {
            parts.add(new Part(text.slice(done, text.length()), Part.TEXT));
        }
        return parts;
    }

    private static boolean touchesWord(NormalizedText text, int start, int stop) {
        return start > 0 && Characters.isWord(text.codePoint(start - 1))
                || stop < text.length() && Characters.isWord(text.codePoint(stop));
    }
}
