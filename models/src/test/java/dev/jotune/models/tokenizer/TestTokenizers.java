package dev.jotune.models.tokenizer;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Tokenizers that tests share. */
final class TestTokenizers {

    private TestTokenizers() {}

    /** The tokenizer of a small published story model: byte-pair encoding with byte fallback, 512 tokens. */
    static Tokenizer stories() {
        return Tokenizer.parse(storiesJson(), "stories260k.json");
    }

    static String storiesJson() {
        try (InputStream in = TestTokenizers.class.getResourceAsStream("/tokenizers/stories260k.json")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
