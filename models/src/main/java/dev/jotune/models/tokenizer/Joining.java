package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Puts encodings one after the other. */
final class Joining {

    private static final int MOST_WINDOWS = 100_000;

    private Joining() {}

    /** All parts in order; windows that overflow are combined with every window of the other parts. */
    static Encoding join(List<Encoding> parts) {
        Encoding joined = new EncodingBuilder().build();
        List<Encoding> windows = List.of();
        for (Encoding part : parts) {
            List<Encoding> others = part.overflowing();
            if ((windows.size() + 1L) * (others.size() + 1L) > MOST_WINDOWS) {
                throw new TokenizerException("Truncation cut the two texts into " + (windows.size() + 1) + " and "
                        + (others.size() + 1) + " windows, too many to combine. Truncate to a greater length.");
            }
            List<Encoding> next = new ArrayList<>();
            for (Encoding window : windows) {
                next.add(concatenate(window, part));
                for (Encoding other : others) {
                    next.add(concatenate(window, other));
                }
            }
            for (Encoding other : others) {
                next.add(concatenate(joined, other));
            }
            joined = concatenate(joined, part);
            windows = next;
        }
        EncodingBuilder result = new EncodingBuilder();
        result.addAll(joined, 0, joined.length());
        return result.build(windows);
    }

    private static Encoding concatenate(Encoding left, Encoding right) {
        EncodingBuilder builder = new EncodingBuilder();
        builder.addAll(left, 0, left.length());
        builder.addAll(right, 0, right.length());
        return builder.build();
    }
}
