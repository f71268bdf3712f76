package dev.jotune.tensor.io;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A value of a GGUF file's metadata. Arrays stay in the file's pages and are read where they are asked for, so that
 * a vocabulary costs no memory before it is used.
 */
public sealed interface GgufValue {
    /** The types of values, in the order of their numbers in files. */
    enum Kind {
        UINT8(1), INT8(1), UINT16(2), INT16(2), UINT32(4), INT32(4), FLOAT32(4), BOOL(1), STRING(8), ARRAY(12), UINT64(8),
        INT64(8), FLOAT64(8);

        private final int smallest;

        Kind(int smallest) {
            this.smallest = smallest;
        }

        /** The fewest bytes that a value takes; for numbers, all. */
        int smallest() {
            return smallest;
        }

        /** The type of this number, if there is one. */
        static Optional<Kind> numbered(int number) {
            return number >= 0 && number < values().length ? Optional.of(values()[number]) : Optional.empty();
        }
    }

    Kind kind();

    /** A whole number; UINT64 keeps its bits. */
    record Whole(Kind kind, long value) implements GgufValue {
        @Override
        public String toString() {
            return kind == Kind.UINT64 ? Long.toUnsignedString(value) : Long.toString(value);
        }
    }

    /** A floating number. */
    record Real(Kind kind, double value) implements GgufValue {
        @Override
        public String toString() {
            return Double.toString(value);
        }
    }

    /** True or false. */
    record Flag(boolean value) implements GgufValue {
        @Override
        public Kind kind() {
            return Kind.BOOL;
        }

        @Override
        public String toString() {
            return Boolean.toString(value);
        }
    }

    /** A text. */
    record Text(String value) implements GgufValue {
        @Override
        public Kind kind() {
            return Kind.STRING;
        }

        @Override
        public String toString() {
            return value;
        }
    }

    /** Values of one type. */
    final class Array implements GgufValue {
        private final Kind elementKind;
        private final long size;
        private final GgufCursor start;

        Array(Kind elementKind, long size, GgufCursor start) {
            this.elementKind = elementKind;
            this.size = size;
            this.start = start;
        }

        @Override
        public Kind kind() {
            return Kind.ARRAY;
        }

        /** The type of the elements. */
        public Kind elementKind() {
            return elementKind;
        }

        public long size() {
            return size;
        }

        /** The elements, read anew. */
        public List<GgufValue> elements() {
            GgufCursor cursor = start.copy();
            List<GgufValue> out = new ArrayList<>(Math.toIntExact(size));
            for (long i = 0; i < size; i++) {
                out.add(cursor.value(elementKind, 0));
            }
            return out;
        }

        /** The elements as texts. */
        public List<String> texts() {
            return elements().stream().map(GgufValue::toString).toList();
        }

        @Override
        public String toString() {
            return elementKind + "[" + size + "]";
        }
    }
}
