package dev.jotune.peft.train;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Makes examples of texts, and counts what it had to cut. */
final class TextEncoder {
    private final Tokenizer tokenizer;
    private final int end;
    private final int maxLength;
    private final List<Example> examples = new ArrayList<>();
    private int cut;

    /** @param maxLength 0: no limit */
    TextEncoder(Tokenizer tokenizer, GenerationDefaults special, int maxLength) {
        // A tokenizer's own truncation and padding would hide what is cut, and teach padding.
        this.tokenizer = tokenizer.withTruncation(Optional.empty()).withPadding(Optional.empty());
        this.end = special.eosTokenIds().length == 0 ? -1 : special.eosTokenIds()[0];
        this.maxLength = maxLength == 0 ? Integer.MAX_VALUE : maxLength;
    }

    List<Example> examples() {
        return examples;
    }

    int cut() {
        return cut;
    }

    /** A prompt as generation reads it: special tokens before it, no end. */
    int[] prompt(String text) {
        int[] ids = tokenizer.encode(text, true).ids();
        return ids.length > 1 && ids[ids.length - 1] == end ? Arrays.copyOf(ids, ids.length - 1) : ids;
    }

    /** A text learnt from end to end. */
    void add(String text) {
        add(ended(text), 1);
    }

    /**
     * Texts to begin a language with: side by side in rows of {@code length} tokens, as many whole ones as fit, so that every
     * row begins where a text does and little is padding. A text longer than a row goes on in the next. What follows the end of
     * a text is not to be told from it: the first token of the next is given.
     */
    void pack(List<String> texts, int length) {
        Row row = new Row(length);
        for (String text : texts) {
            int[] ids = ended(text);
            if (row.used + Math.min(ids.length, length) > length) {
                row = row.flush(examples);
            }
            for (int i = 0; i < ids.length; i++) {
                if (row.used == length) {
                    row = row.flush(examples);
                }
                row.add(ids[i], i > 0);
            }
        }
        row.flush(examples);
    }

    /** A row being filled. */
    private static final class Row {
        private final int[] ids;
        private final int[] labels;
        private int used;

        Row(int length) {
            ids = new int[length];
            labels = new int[length];
        }

        void add(int id, boolean learnt) {
            ids[used] = id;
            labels[used++] = learnt ? id : Example.IGNORED;
        }

        /** Gives away what is in it, if that can be learnt from; a new one. */
        Row flush(List<Example> to) {
            if (used > 1) {
                to.add(new Example(Arrays.copyOf(ids, used), Arrays.copyOf(labels, used)));
            }
            return new Row(ids.length);
        }
    }

    /** A completion learnt after a prompt that is given. */
    void add(String prompt, String completion) {
        Example e = labelled(prompt, completion);
        add(e.ids(), firstLabel(e));
    }

    /**
     * A completion after its prompt, uncut. The two are read as one text, as generation goes on from the prompt; where
     * a token lies across the border, it belongs to the completion.
     */
    Example labelled(String prompt, String completion) {
        int[] ids = ended(prompt + completion);
        int[] given = prompt(prompt);
        int same = Arrays.mismatch(ids, given);
        return labelled(ids, Math.max(1, same < 0 ? ids.length : same));
    }

    private int[] ended(String text) {
        int[] ids = tokenizer.encode(text, true).ids();
        if (end < 0 || ids.length > 0 && ids[ids.length - 1] == end) {
            return ids;
        }
        int[] out = Arrays.copyOf(ids, ids.length + 1);
        out[ids.length] = end;
        return out;
    }

    private void add(int[] ids, int firstLabel) {
        if (ids.length == 0) {
            return;
        }
        cut += ids.length > maxLength ? 1 : 0;
        examples.add(labelled(Arrays.copyOf(ids, Math.min(ids.length, maxLength)), firstLabel));
    }

    private static Example labelled(int[] ids, int firstLabel) {
        int[] labels = ids.clone();
        Arrays.fill(labels, 0, Math.min(firstLabel, labels.length), Example.IGNORED);
        return new Example(ids, labels);
    }

    private static int firstLabel(Example e) {
        int first = 0;
        while (first < e.length() && e.labels()[first] == Example.IGNORED) {
            first++;
        }
        return first;
    }
}
