package dev.jotune.models.generate;

/** Why a generated text ended. */
public enum FinishReason {
    /** The model chose an end token. */
    END_TOKEN,
    /** A stop string appeared. */
    STOP_STRING,
    /** A {@link StopCondition} said so. */
    STOP_CONDITION,
    /** The text is complete as its constraint has it: nothing may follow. */
    COMPLETE,
    /** The number of new tokens asked for is reached. */
    MAX_NEW_TOKENS,
    /** The text, prompt included, is as long as asked for. */
    MAX_LENGTH,
    /** The model's context is full. */
    CONTEXT_FULL
}
