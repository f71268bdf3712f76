package dev.jotune.models.tokenizer;

import java.util.Optional;

/**
 * The settings of a byte-pair model.
 *
 * @param unknownToken what stands for characters outside the vocabulary; without it they are dropped
 * @param prefix put before every character of a word but the first, or empty
 * @param suffix put after the last character of a word, or empty
 * @param fuseUnknown whether neighbouring unknown characters give one token
 * @param byteFallback whether unknown characters become their bytes
 * @param ignoreMerges whether a word that is itself a token is taken whole
 */
record BpeOptions(Optional<String> unknownToken, String prefix, String suffix, boolean fuseUnknown,
                  boolean byteFallback, boolean ignoreMerges) {

    static BpeOptions read(JsonView view) {
        view.optional("dropout").ifPresent(dropout -> {
            if (dropout.number() != 0) {
                throw dropout.error("is " + dropout.number() + ", but cutting words at random is not supported. "
                        + "Set it to null.");
            }
        });
        return new BpeOptions(view.optional("unk_token").map(JsonView::text),
                view.text("continuing_subword_prefix", ""), view.text("end_of_word_suffix", ""),
                view.bool("fuse_unk", false), view.bool("byte_fallback", false), view.bool("ignore_merges", false));
    }
}
