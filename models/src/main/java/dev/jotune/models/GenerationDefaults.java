package dev.jotune.models;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The tokens with a part in generation, of {@code generation_config.json}, or of {@code config.json} where that is absent.
 *
 * @param bosTokenId begins a text; -1 if there is none
 * @param eosTokenIds end a text
 * @param padTokenId fills rows; -1 if there is none
 * @param forced what must or must not come
 */
public record GenerationDefaults(int bosTokenId, int[] eosTokenIds, int padTokenId, Forced forced) {
    /**
     * @param bosTokenId the first token after the one that a target begins with; -1 if there is none
     * @param eosTokenIds one of them is the last token of a text that reaches its limit
     * @param suppressTokens never come
     * @param beginSuppressTokens do not come first
     */
    public record Forced(int bosTokenId, int[] eosTokenIds, int[] suppressTokens, int[] beginSuppressTokens) {
        /** Nothing. */
        public static final Forced NONE = new Forced(-1, new int[0], new int[0], new int[0]);
    }

    /** With nothing forced. */
    public GenerationDefaults(int bosTokenId, int[] eosTokenIds, int padTokenId) {
        this(bosTokenId, eosTokenIds, padTokenId, Forced.NONE);
    }

    static GenerationDefaults read(Path folder, Config config) {
        Path file = folder.resolve("generation_config.json");
        return of(Files.exists(file) ? Config.read(file) : config);
    }

    static GenerationDefaults of(Config c) {
        return new GenerationDefaults(first(c.ids("bos_token_id")), c.ids("eos_token_id"), first(c.ids("pad_token_id")),
                new Forced(first(c.ids("forced_bos_token_id")), c.ids("forced_eos_token_id"), c.ids("suppress_tokens"),
                        c.ids("begin_suppress_tokens")));
    }

    private static int first(int[] ids) {
        return ids.length == 0 ? -1 : ids[0];
    }

    @Override
    public int[] eosTokenIds() {
        return eosTokenIds.clone();
    }
}
