package dev.jotune.models.generate;

/** Why a generated text ended. */
public enum FinishReason {
    /** The model chose an end token. */
    END_TOKEN,
    /** A stop string appeared. */
    STOP_STRING,
    /** The number of new tokens asked for is reached. */
    MAX_NEW_TOKENS,
    /** The model's context is full. */
    CONTEXT_FULL
}
