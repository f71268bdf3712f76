package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/** Writes out a template such as {@code <s> A </s> B </s>}, one for a single text and one for a pair. */
record TemplateProcessing(List<Piece> single, List<Piece> pair) implements PostProcessor {

    /** A part of a template: a text or some special tokens, and the segment it belongs to. */
    sealed interface Piece {
        int typeId();
    }

    /** The first ({@code index} 0) or second (1) text. */
    record Text(int index, int typeId) implements Piece {}

    /** Tokens that are put in. */
    record Special(int[] ids, List<String> tokens, int typeId) implements Piece {}

    TemplateProcessing {
        single = List.copyOf(single);
        pair = List.copyOf(pair);
    }

    static TemplateProcessing read(JsonView view, IntFunction<String> tokens) {
        Map<String, Special> specials = new HashMap<>();
        view.optional("special_tokens").ifPresent(table ->
                table.forEachField((name, entry) -> specials.put(name, special(entry, tokens))));
        List<Piece> single = pieces(view.field("single"), specials);
        List<Piece> pair = pieces(view.field("pair"), specials);
        requireText(view.field("single"), single, 0, 1);
        requireText(view.field("pair"), pair, 0, 2);
        requireText(view.field("pair"), pair, 1, 2);
        return new TemplateProcessing(single, pair);
    }

    private static Special special(JsonView view, IntFunction<String> vocabulary) {
        List<JsonView> ids = view.field("ids").elements();
        List<JsonView> tokens = view.field("tokens").elements();
        if (ids.size() != tokens.size()) {
            throw view.error("has " + ids.size() + " ids but " + tokens.size() + " tokens. Give one token an id.");
        }
        for (int i = 0; i < ids.size(); i++) {
            String known = vocabulary.apply(ids.get(i).natural());
            if (!tokens.get(i).text().equals(known)) {
                throw view.error("names the token '" + tokens.get(i).text() + "' with the id " + ids.get(i).natural()
                        + ", which is " + (known == null ? "unknown" : "the id of '" + known + "'")
                        + ". Name a token of the vocabulary.");
            }
        }
        return new Special(ids.stream().mapToInt(JsonView::natural).toArray(),
                tokens.stream().map(JsonView::text).toList(), 0);
    }

    private static List<Piece> pieces(JsonView view, Map<String, Special> specials) {
        List<Piece> pieces = new ArrayList<>();
        for (JsonView entry : view.elements()) {
            if (entry.has("Sequence")) {
                JsonView text = entry.field("Sequence");
                String which = text.field("id").text();
                if (!which.equals("A") && !which.equals("B")) {
                    throw text.error("names the text '" + which + "'. The texts are A and B.");
                }
                pieces.add(new Text(which.equals("A") ? 0 : 1, text.natural("type_id", 0)));
            } else if (entry.has("SpecialToken")) {
                JsonView token = entry.field("SpecialToken");
                String name = token.field("id").text();
                Special special = specials.get(name);
                if (special == null) {
                    throw token.error("names the token '" + name + "', which is not among its special_tokens. "
                            + "Add it there.");
                }
                pieces.add(new Special(special.ids(), special.tokens(), token.natural("type_id", 0)));
            } else {
                throw entry.error("is neither a Sequence nor a SpecialToken. Use one of the two.");
            }
        }
        return pieces;
    }

    private static void requireText(JsonView view, List<Piece> pieces, int index, int texts) {
        boolean present = false;
        for (Piece piece : pieces) {
            if (piece instanceof Text text) {
                if (text.index() >= texts) {
                    throw view.error("uses the text B, which a single text does not have. Use A only.");
                }
                present |= text.index() == index;
            }
        }
        if (!present) {
            throw view.error("does not use the text " + (index == 0 ? "A" : "B") + ". Add it.");
        }
    }

    @Override
    public int added(boolean isPair) {
        int count = 0;
        for (Piece piece : isPair ? pair : single) {
            if (piece instanceof Special special) {
                count += special.ids().length;
            }
        }
        return count;
    }

    @Override
    public List<Encoding> process(List<Encoding> texts, boolean addSpecialTokens) {
        if (texts.size() > 2) {
            throw new TokenizerException("A template was given " + texts.size() + " texts, because another template "
                    + "came before it. Use one template.");
        }
        List<Encoding> result = new ArrayList<>();
        for (Piece piece : texts.size() == 2 ? pair : single) {
            switch (piece) {
                case Text text -> {
                    Encoding encoding = texts.get(text.index());
                    EncodingBuilder builder = new EncodingBuilder();
                    builder.addAll(encoding, text.typeId());
                    // The reference gives the template's segment to the first window only.
                    result.add(builder.build(encoding.overflowing()));
                }
                case Special special when addSpecialTokens -> {
                    EncodingBuilder builder = new EncodingBuilder();
                    for (int i = 0; i < special.ids().length; i++) {
                        builder.addSpecial(special.ids()[i], special.tokens().get(i), special.typeId());
                    }
                    result.add(builder.build());
                }
                case Special _ -> { }
            }
        }
        return result;
    }
}
