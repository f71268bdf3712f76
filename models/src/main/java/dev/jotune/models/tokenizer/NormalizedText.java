package dev.jotune.models.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * A piece of text with, for each of its code points, the range of the original text it came from.
 *
 * <p>Ranges are absolute: code points of the whole text given to {@link Tokenizer#encode(String, boolean)}.
 * {@code base} is where this piece began in the original before anything was inserted in front of it. Instances are
 * immutable by convention: every operation gives a new one, and slices share the arrays of their parent.
 */
final class NormalizedText {

    private final int[] codePoints;
    private final int[] starts;
    private final int[] ends;
    private final int from;
    private final int length;
    private final int base;

    private NormalizedText(int[] codePoints, int[] starts, int[] ends, int from, int length, int base) {
        this.codePoints = codePoints;
        this.starts = starts;
        this.ends = ends;
        this.from = from;
        this.length = length;
        this.base = base;
    }

    /** The text itself, each code point standing for itself; a surrogate without its other half becomes U+FFFD. */
    static NormalizedText of(String text) {
        int[] codePoints = text.codePoints().map(c -> c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c).toArray();
        int[] starts = new int[codePoints.length];
        int[] ends = new int[codePoints.length];
        for (int i = 0; i < codePoints.length; i++) {
            starts[i] = i;
            ends[i] = i + 1;
        }
        return new NormalizedText(codePoints, starts, ends, 0, codePoints.length, 0);
    }

    int length() {
        return length;
    }

    boolean isEmpty() {
        return length == 0;
    }

    int codePoint(int index) {
        return codePoints[from + index];
    }

    /** Where the code point at {@code index} begins in the original text. */
    int start(int index) {
        return starts[from + index];
    }

    /** Where the code point at {@code index} ends in the original text, exclusive. */
    int end(int index) {
        return ends[from + index];
    }

    int base() {
        return base;
    }

    boolean startsWith(int codePoint) {
        return length > 0 && codePoint(0) == codePoint;
    }

    /** The code points from {@code begin} to {@code end} (exclusive). */
    NormalizedText slice(int begin, int end) {
        int sliceBase = begin < end ? start(begin) : base;
        return new NormalizedText(codePoints, starts, ends, from + begin, end - begin, sliceBase);
    }

    String substring(int begin, int end) {
        return new String(codePoints, from + begin, end - begin);
    }

    @Override
    public String toString() {
        return substring(0, length);
    }

    /** This text with {@code prefix} before it; the new characters stand for the same place as the first old one. */
    NormalizedText prepend(String prefix) {
        if (isEmpty()) {
            return this;
        }
        Builder builder = builder(length + prefix.length());
        prefix.codePoints().forEach(c -> builder.add(c, start(0), end(0)));
        builder.copy(0, length);
        return builder.build();
    }

    /** This text rewritten from its beginning; old characters that no change speaks of are dropped. */
    NormalizedText transformed(List<Change> changes) {
        Builder builder = builder(changes.size());
        int at = 0;
        for (Change change : changes) {
            if (change.change() > 0) {
                builder.addAs(change.codePoint(), at - 1);
            } else {
                builder.addAs(change.codePoint(), at);
                at += 1 - change.change();
            }
        }
        return builder.build();
    }

    /** The code points that pass, each standing for what it stood for. */
    NormalizedText filter(IntPredicate kept) {
        Builder builder = builder(length);
        for (int i = 0; i < length; i++) {
            if (kept.test(codePoint(i))) {
                builder.addAs(codePoint(i), i);
            }
        }
        return builder.build();
    }

    Builder builder(int expectedLength) {
        return new Builder(expectedLength);
    }

    /** Collects the code points of a changed version of this text. */
    final class Builder {
        private int[] newCodePoints;
        private int[] newStarts;
        private int[] newEnds;
        private int size;

        private Builder(int expectedLength) {
            newCodePoints = new int[Math.max(expectedLength, 8)];
            newStarts = new int[newCodePoints.length];
            newEnds = new int[newCodePoints.length];
        }

        void add(int codePoint, int start, int end) {
            if (size == newCodePoints.length) {
                grow(size + 1);
            }
            newCodePoints[size] = codePoint;
            newStarts[size] = start;
            newEnds[size++] = end;
        }

        /** Adds a code point that stands for what the old code point at {@code index} stands for. */
        void addAs(int codePoint, int index) {
            if (index < 0) {
                add(codePoint, base, base);
            } else {
                add(codePoint, start(index), end(index));
            }
        }

        void copy(int begin, int end) {
            int count = end - begin;
            if (size + count > newCodePoints.length) {
                grow(size + count);
            }
            System.arraycopy(codePoints, from + begin, newCodePoints, size, count);
            System.arraycopy(starts, from + begin, newStarts, size, count);
            System.arraycopy(ends, from + begin, newEnds, size, count);
            size += count;
        }

        private void grow(int needed) {
            int capacity = Math.max(needed, newCodePoints.length + (newCodePoints.length >> 1));
            newCodePoints = Arrays.copyOf(newCodePoints, capacity);
            newStarts = Arrays.copyOf(newStarts, capacity);
            newEnds = Arrays.copyOf(newEnds, capacity);
        }

        NormalizedText build() {
            return new NormalizedText(newCodePoints, newStarts, newEnds, 0, size, base);
        }
    }
}
