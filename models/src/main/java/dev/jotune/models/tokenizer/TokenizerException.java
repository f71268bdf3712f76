package dev.jotune.models.tokenizer;

import java.io.Serial;

/** Says that a tokenizer file, a setting or a text cannot be used, naming the file and the place in it. */
public final class TokenizerException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    public TokenizerException(String message) {
        super(message);
    }

    public TokenizerException(String message, Throwable cause) {
        super(message, cause);
    }
}
