package dev.jotune.models;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The special tokens of {@code generation_config.json}, or of {@code config.json} where that is absent.
 *
 * @param bosTokenId begins a text; -1 if there is none
 * @param eosTokenIds end a text
 * @param padTokenId fills rows; -1 if there is none
 */
public record GenerationDefaults(int bosTokenId, int[] eosTokenIds, int padTokenId) {
    static GenerationDefaults read(Path folder, Config config) {
        Path file = folder.resolve("generation_config.json");
        return of(Files.exists(file) ? Config.read(file) : config);
    }

    static GenerationDefaults of(Config c) {
        return new GenerationDefaults(first(c.ids("bos_token_id")), c.ids("eos_token_id"), first(c.ids("pad_token_id")));
    }

    private static int first(int[] ids) {
        return ids.length == 0 ? -1 : ids[0];
    }

    @Override
    public int[] eosTokenIds() {
        return eosTokenIds.clone();
    }
}
