package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * The fixed templates of BERT ({@code cls A sep B sep}) and RoBERTa ({@code cls A sep sep B sep}) in older files.
 *
 * @param cls the token before the first text
 * @param sep the token after each text
 * @param roberta which of the two it is; RoBERTa also puts everything in segment 0
 * @param trimOffsets whether offsets leave out white space at the ends of a token
 * @param addPrefixSpace whether a space was put before the text
 */
record FixedProcessing(Token cls, Token sep, boolean roberta, boolean trimOffsets, boolean addPrefixSpace)
        implements PostProcessor {

    /** A token of the vocabulary. */
    record Token(String content, int id) {

        private static Token read(JsonView view, IntFunction<String> tokens) {
            List<JsonView> parts = view.elements();
            if (parts.size() != 2) {
                throw view.error("has " + parts.size() + " entries. Write a token as [\"text\", id].");
            }
            Token token = new Token(parts.get(0).text(), parts.get(1).natural());
            String known = tokens.apply(token.id());
            if (!token.content().equals(known)) {
                throw view.error("names the token '" + token.content() + "' with the id " + token.id() + ", which is "
                        + (known == null ? "unknown" : "the id of '" + known + "'")
                        + ". Name a token of the vocabulary.");
            }
            return token;
        }
    }

    static FixedProcessing read(JsonView view, boolean roberta, IntFunction<String> tokens) {
        return new FixedProcessing(Token.read(view.field("cls"), tokens), Token.read(view.field("sep"), tokens),
                roberta, roberta && view.bool("trim_offsets", true), view.bool("add_prefix_space", true));
    }

    @Override
    public int added(boolean pair) {
        return pair ? roberta ? 4 : 3 : 2;
    }

    @Override
    public List<Encoding> process(List<Encoding> texts, boolean addSpecialTokens) {
        List<Encoding> result = new ArrayList<>(texts.size());
        for (int i = 0; i < texts.size(); i++) {
            Encoding text = trimOffsets ? ByteLevel.trimmed(texts.get(i), addPrefixSpace) : texts.get(i);
            int type = roberta ? 0 : i;
            if (addSpecialTokens) {
                List<Encoding> windows = new ArrayList<>();
                for (Encoding window : text.overflowing()) {
                    windows.add(enclosed(window, i, type).build());
                }
                result.add(enclosed(text, i, type).build(windows));
            } else {
                EncodingBuilder builder = new EncodingBuilder();
                builder.addAll(text, type);
                result.add(builder.build(text.overflowing()));
            }
        }
        return result;
    }

    private EncodingBuilder enclosed(Encoding text, int index, int type) {
        EncodingBuilder builder = new EncodingBuilder();
        if (index == 0) {
            builder.addSpecial(cls.id(), cls.content(), type);
        } else if (roberta) {
            builder.addSpecial(sep.id(), sep.content(), type);
        }
        builder.addAll(text, type);
        builder.addSpecial(sep.id(), sep.content(), type);
        return builder;
    }
}
