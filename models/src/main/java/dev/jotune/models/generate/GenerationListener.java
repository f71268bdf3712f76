package dev.jotune.models.generate;

/** Hears of a text while it is written. */
public interface GenerationListener {

    /** Hears nothing. */
    GenerationListener NONE = new GenerationListener() {
    };

    /** A token was chosen; end tokens too. */
    default void token(int id) {
    }

    /**
     * A piece of text that will not be taken back, never empty. It lags behind the tokens where characters are
     * incomplete or a stop string may have begun.
     */
    default void text(String piece) {
    }
}
