package dev.jotune.models.tokenizer;

/**
 * A token that is cut out of a text before the model sees it.
 *
 * @param id its id
 * @param content its text
 * @param singleWord whether it counts only where no letter, digit or underscore touches it
 * @param lstrip whether it swallows the white space before it
 * @param rstrip whether it swallows the white space after it
 * @param normalized whether it is looked for in the normalised text (and in its own normalised form)
 * @param special whether decoding may leave it out
 */
public record AddedToken(int id, String content, boolean singleWord, boolean lstrip, boolean rstrip,
                         boolean normalized, boolean special) {

    static AddedToken read(JsonView view) {
        boolean special = view.bool("special", false);
        return new AddedToken(view.field("id").natural(), view.field("content").text(),
                view.bool("single_word", false), view.bool("lstrip", false), view.bool("rstrip", false),
                view.bool("normalized", !special), special);
    }
}
