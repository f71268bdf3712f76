package dev.jotune.tensor.io;

import dev.jotune.tensor.io.GgufValue.Kind;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A place in a mapped GGUF file from which numbers, texts and values are read, each checked against the file's end. */
final class GgufCursor {
    static final String REMEDY = "Download the file again, or convert the model again with a current tool.";
    /** Arrays within arrays; real files have none. */
    private static final int DEEPEST = 8;

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final MemorySegment file;
    private long at;

    GgufCursor(Path path, MemorySegment file, long at) {
        this.path = path;
        this.file = file;
        this.at = at;
    }

    GgufCursor copy() {
        return new GgufCursor(path, file, at);
    }

    long at() {
        return at;
    }

    long left() {
        return file.byteSize() - at;
    }

    FormatException fault(String fault) {
        return new FormatException(path, fault, REMEDY);
    }

    /** Steps over {@code bytes} and returns where they begin. */
    private long take(long bytes, String what) {
        if (bytes < 0 || bytes > left()) {
            throw fault("it ends inside " + what + " at byte " + at + ", which needs " + Long.toUnsignedString(bytes) + " bytes of "
                    + left() + " left");
        }
        long start = at;
        at += bytes;
        return start;
    }

    int i32(String what) {
        return file.get(INT, take(Integer.BYTES, what));
    }

    long i64(String what) {
        return file.get(LONG, take(Long.BYTES, what));
    }

    /** A text of at most {@code longest} bytes. */
    String text(String what, long longest) {
        long length = length(what, longest);
        byte[] bytes = file.asSlice(take(length, what), length).toArray(ValueLayout.JAVA_BYTE);
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(java.nio.ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(path, what + " before byte " + at + " is not UTF-8", REMEDY, e);
        }
    }

    private long length(String what, long longest) {
        long length = i64("the length of " + what);
        if (length < 0 || length > Math.min(longest, left())) {
            throw fault(what + " at byte " + at + " claims " + Long.toUnsignedString(length) + " bytes; " + left() + " are left"
                    + (longest < Long.MAX_VALUE ? " and " + longest + " allowed" : ""));
        }
        return length;
    }

    /** A value of a known type. */
    GgufValue value(Kind kind, int depth) {
        return switch (kind) {
            case UINT8 -> new GgufValue.Whole(kind, i8() & 0xff);
            case INT8 -> new GgufValue.Whole(kind, i8());
            case UINT16 -> new GgufValue.Whole(kind, Short.toUnsignedInt(i16()));
            case INT16 -> new GgufValue.Whole(kind, i16());
            case UINT32 -> new GgufValue.Whole(kind, Integer.toUnsignedLong(i32("a value")));
            case INT32 -> new GgufValue.Whole(kind, i32("a value"));
            case UINT64, INT64 -> new GgufValue.Whole(kind, i64("a value"));
            case FLOAT32 -> new GgufValue.Real(kind, Float.intBitsToFloat(i32("a value")));
            case FLOAT64 -> new GgufValue.Real(kind, Double.longBitsToDouble(i64("a value")));
            case BOOL -> new GgufValue.Flag(bool());
            case STRING -> new GgufValue.Text(text("a text", Integer.MAX_VALUE - Long.BYTES));
            case ARRAY -> array(depth);
        };
    }

    private byte i8() {
        return file.get(ValueLayout.JAVA_BYTE, take(1, "a value"));
    }

    private short i16() {
        return file.get(SHORT, take(Short.BYTES, "a value"));
    }

    private boolean bool() {
        byte b = i8();
        if (b != 0 && b != 1) {
            throw fault("the bool before byte " + at + " is " + b + ", neither 0 nor 1");
        }
        return b == 1;
    }

    Kind kind(String what) {
        int number = i32(what);
        return Kind.numbered(number).orElseThrow(() -> fault(what + " before byte " + at + " is "
                + Integer.toUnsignedString(number) + ", which the format does not have"));
    }

    private GgufValue.Array array(int depth) {
        if (depth >= DEEPEST) {
            throw fault("arrays lie " + (depth + 1) + " deep in each other at byte " + at);
        }
        Kind elementKind = kind("the element type of an array");
        long count = i64("the length of an array");
        if (count < 0 || count > left() / elementKind.smallest()) {
            throw fault("an array at byte " + at + " claims " + Long.toUnsignedString(count) + " elements of " + elementKind + "; "
                    + left() + " bytes are left");
        }
        GgufValue.Array array = new GgufValue.Array(elementKind, count, copy());
        skip(elementKind, count, depth);
        return array;
    }

    /** Checks elements and leaves them where they are. */
    private void skip(Kind kind, long count, int depth) {
        switch (kind) {
            case STRING -> {
                for (long i = 0; i < count; i++) {
                    take(length("a text", Integer.MAX_VALUE - Long.BYTES), "a text");
                }
            }
            case ARRAY -> {
                for (long i = 0; i < count; i++) {
                    array(depth + 1);
                }
            }
            case BOOL -> {
                for (long i = 0; i < count; i++) {
                    bool();
                }
            }
            default -> take(count * kind.smallest(), "an array");
        }
    }
}
