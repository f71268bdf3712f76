package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Writes spaces as a visible character (usually U+2581) and back.
 *
 * @param replacement the visible character
 * @param prepend when to put one before a text that does not begin with one
 * @param split whether to cut before each of them
 */
record Metaspace(int replacement, Scheme prepend, boolean split) implements PreTokenizer, Decoder {

    /** Before which pieces the replacement is put: those at the very start of the text, all, or none. */
    enum Scheme { FIRST, ALWAYS, NEVER }

    /** Reads the present form, or the older one that says {@code add_prefix_space} instead of a scheme. */
    static Metaspace read(JsonView view) {
        int replacement = view.has("replacement") ? view.field("replacement").codePoint() : 0x2581;
        Scheme scheme = view.bool("add_prefix_space", true) ? Scheme.ALWAYS : Scheme.NEVER;
        if (view.has("prepend_scheme")) {
            JsonView written = view.field("prepend_scheme");
            scheme = switch (written.text()) {
                case "first" -> Scheme.FIRST;
                case "always" -> Scheme.ALWAYS;
                case "never" -> Scheme.NEVER;
                default -> throw written.error("is '" + written.text() + "'. Write first, always or never.");
            };
            if (scheme != Scheme.NEVER && !view.bool("add_prefix_space", true)) {
                throw view.error("has prepend_scheme '" + written.text() + "' but add_prefix_space false. "
                        + "Leave add_prefix_space out.");
            }
        }
        return new Metaspace(replacement, scheme, view.bool("split", true));
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        NormalizedText.Builder builder = text.builder(text.length());
        for (int i = 0; i < text.length(); i++) {
            builder.addAs(text.codePoint(i) == ' ' ? replacement : text.codePoint(i), i);
        }
        NormalizedText replaced = builder.build();
        boolean wanted = prepend == Scheme.ALWAYS || prepend == Scheme.FIRST && text.base() == 0;
        if (wanted && !replaced.startsWith(replacement)) {
            replaced = replaced.prepend(Character.toString(replacement));
        }
        return split ? cut(replaced) : List.of(replaced);
    }

    private List<NormalizedText> cut(NormalizedText text) {
        List<NormalizedText> pieces = new ArrayList<>();
        int start = 0;
        for (int i = 1; i < text.length(); i++) {
            if (text.codePoint(i) == replacement) {
                pieces.add(text.slice(start, i));
                start = i;
            }
        }
        pieces.add(text.slice(start, text.length()));
        return pieces;
    }

    @Override
    public List<String> decode(List<String> tokens) {
        String visible = Character.toString(replacement);
        List<String> result = new ArrayList<>(tokens.size());
        for (int i = 0; i < tokens.size(); i++) {
            boolean dropped = i == 0 && prepend != Scheme.NEVER;
            result.add(tokens.get(i).replace(visible, dropped ? "" : " "));
        }
        return result;
    }
}
