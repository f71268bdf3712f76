package dev.jotune.models.generate;

/** The checks of settings that several processors share. */
final class Require {

    private Require() {
    }

    static int atLeast(String name, int value, int least, String meaning) {
        if (value < least) {
            throw new IllegalArgumentException(name + " is " + value + ", but must be at least " + least + ". "
                    + meaning);
        }
        return value;
    }

    static double positive(String name, double value, String meaning) {
        if (!(value > 0) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(name + " is " + value + ", but must be a number above 0. " + meaning);
        }
        return value;
    }

    /** In (0, 1]. */
    static double share(String name, double value, String meaning) {
        if (!(value > 0 && value <= 1)) {
            throw new IllegalArgumentException(name + " is " + value + ", but must be above 0 and at most 1. "
                    + meaning);
        }
        return value;
    }

    /** In [0, 1). */
    static double cutoff(String name, double value, String meaning) {
        if (!(value >= 0 && value < 1)) {
            throw new IllegalArgumentException(name + " is " + value + ", but must be at least 0 and below 1. "
                    + meaning);
        }
        return value;
    }

    /** A copy of token ids, none negative. */
    static int[] tokens(String name, int... ids) {
        for (int id : ids) {
            if (id < 0) {
                throw new IllegalArgumentException(name + " holds the token id " + id + ", but ids begin at 0. "
                        + "Pass ids of the model's vocabulary.");
            }
        }
        return ids.clone();
    }

    /** Refuses an id outside the vocabulary with a name in place of an array's complaint. */
    static void inVocabulary(String name, int[] ids, int vocabularySize) {
        int at = firstOutside(ids, vocabularySize);
        if (at >= 0) {
            throw outside(name, ids[at], vocabularySize);
        }
    }

    /** As the other method, for {@code name} followed by a number: the two are only put together where it fails. */
    static void inVocabulary(String name, int number, int[] ids, int vocabularySize) {
        int at = firstOutside(ids, vocabularySize);
        if (at >= 0) {
            throw outside(name + number, ids[at], vocabularySize);
        }
    }

    private static int firstOutside(int[] ids, int vocabularySize) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabularySize) {
                return i;
            }
        }
        return -1;
    }

    private static IllegalArgumentException outside(String name, int id, int vocabularySize) {
        return new IllegalArgumentException(name + " holds the token id " + id + ", but the vocabulary has "
                + vocabularySize + " tokens. Pass ids of this model's tokenizer.");
    }
}
