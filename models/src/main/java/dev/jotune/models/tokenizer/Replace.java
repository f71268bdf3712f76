package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Replaces every match of a pattern, in a text to be encoded or in decoded tokens. */
record Replace(TextPattern pattern, String content) implements Normalizer, Decoder {

    static Replace read(JsonView view) {
        return new Replace(TextPattern.read(view.field("pattern")), view.field("content").text());
    }

    @Override
    public NormalizedText normalize(NormalizedText text) {
        List<TextPattern.Match> matches = pattern.matches(text);
        if (matches.isEmpty()) {
            return text;
        }
        int[] inserted = content.codePoints().toArray();
        NormalizedText.Builder builder = text.builder(text.length());
        int done = 0;
        for (TextPattern.Match match : matches) {
            builder.copy(done, match.start());
            for (int codePoint : inserted) {
                // As in the format's reference, new characters stand for the last replaced one.
                builder.addAs(codePoint, match.end() - 1);
            }
            done = match.end();
        }
        builder.copy(done, text.length());
        return builder.build();
    }

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = new ArrayList<>(tokens.size());
        for (String token : tokens) {
            result.add(pattern.replaceAll(token, content));
        }
        return result;
    }
}
