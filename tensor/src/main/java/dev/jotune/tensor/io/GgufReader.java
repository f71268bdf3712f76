package dev.jotune.tensor.io;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/** Reads and checks a GGUF file from its first byte to the last tensor's. */
final class GgufReader {
    private static final int MAGIC = 0x46554747;
    private static final int LONGEST_KEY = 0xffff;
    private static final int MOST_DIMENSIONS = 4;
    private static final String ALIGNMENT = "general.alignment";
    /** A key's length, one letter, a type and one byte. */
    private static final int SMALLEST_KEY = Long.BYTES + 1 + Integer.BYTES + 1;
    /** A name's length, one letter, one dimension and its count, a type and an offset. */
    private static final int SMALLEST_TENSOR = Long.BYTES + 1 + Integer.BYTES + Long.BYTES + Integer.BYTES + Long.BYTES;

    private final Path path;
    private final GgufCursor in;
    private final SequencedMap<String, GgufValue> metadata = new LinkedHashMap<>();
    private final SequencedMap<String, GgufTensor> tensors = new LinkedHashMap<>();

    /** A tensor's entry before its bytes are known to be there. */
    private record Info(String name, GgufType type, long[] shape, long offset, long bytes) {}

    GgufReader(Path path, MemorySegment file) {
        this.path = path;
        in = new GgufCursor(path, file, 0);
        checkVersion();
        long tensorCount = count("tensors", GgufFile.MOST_TENSORS, SMALLEST_TENSOR);
        long keyCount = count("keys", GgufFile.MOST_KEYS, SMALLEST_KEY);
        for (long i = 0; i < keyCount; i++) {
            readKey();
        }
        long alignment = alignment();
        List<Info> infos = new ArrayList<>();
        for (long i = 0; i < tensorCount; i++) {
            infos.add(readInfo(alignment));
        }
        long dataStart = (in.at() + alignment - 1) & -alignment;
        checkPlaces(infos, file.byteSize() - dataStart);
        for (Info info : infos) {
            MemorySegment data = file.asSlice(dataStart + info.offset, info.bytes);
            if (tensors.put(info.name, new GgufTensor(info.name, info.type, info.shape, data)) != null) {
                throw fault("the tensor " + FormatException.quote(info.name) + " is listed twice");
            }
        }
    }

    SequencedMap<String, GgufValue> metadata() {
        return metadata;
    }

    SequencedMap<String, GgufTensor> tensors() {
        return tensors;
    }

    private FormatException fault(String fault) {
        return in.fault(fault);
    }

    private void checkVersion() {
        int magic = in.i32("the magic number");
        if (magic != MAGIC) {
            throw new FormatException(path, "it does not begin with GGUF", "Name a .gguf file; older ggml files must be converted.");
        }
        int version = in.i32("the version");
        if (version != 2 && version != 3) {
            boolean swapped = Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3;
            throw new FormatException(path, swapped ? "it is a big-endian file" : "it has version " + Integer.toUnsignedString(version)
                    + ", versions 2 and 3 are known", "Convert the model again for a little-endian machine with a current tool.");
        }
    }

    private long count(String what, long most, int smallest) {
        long count = in.i64("the number of " + what);
        if (count < 0 || count > most || count > in.left() / smallest) {
            throw fault("it claims " + Long.toUnsignedString(count) + " " + what + "; " + in.left()
                    + " bytes are left, and at most " + most + " are read");
        }
        return count;
    }

    private void readKey() {
        String key = in.text("a key", LONGEST_KEY);
        if (key.isEmpty()) {
            throw fault("a key before byte " + in.at() + " is empty");
        }
        GgufValue value = in.value(in.kind("the type of " + FormatException.quote(key)), 0);
        if (metadata.put(key, value) != null) {
            throw fault("the key " + FormatException.quote(key) + " is given twice");
        }
    }

    private long alignment() {
        GgufValue value = metadata.get(ALIGNMENT);
        if (value == null) {
            return 32;
        }
        if (!(value instanceof GgufValue.Whole w) || w.value() <= 0 || w.value() > 1 << 30 || Long.bitCount(w.value()) != 1) {
            throw fault(ALIGNMENT + " is " + FormatException.quote(value.toString()) + ", no power of two");
        }
        return w.value();
    }

    private Info readInfo(long alignment) {
        String name = in.text("a tensor's name", LONGEST_KEY);
        String quoted = FormatException.quote(name);
        int dimensions = in.i32("the dimensions of " + quoted);
        if (dimensions < 1 || dimensions > MOST_DIMENSIONS) {
            throw fault("the tensor " + quoted + " has " + Integer.toUnsignedString(dimensions) + " dimensions; 1 to "
                    + MOST_DIMENSIONS + " are possible");
        }
        long[] shape = new long[dimensions];
        for (int d = dimensions - 1; d >= 0; d--) {
            shape[d] = in.i64("the dimensions of " + quoted);
            if (shape[d] < 1) {
                throw fault("the tensor " + quoted + " has a dimension of " + shape[d]);
            }
        }
        int number = in.i32("the type of " + quoted);
        GgufType type = GgufType.numbered(number).orElseThrow(() -> fault("the tensor " + quoted + " has type "
                + Integer.toUnsignedString(number) + ", which is unknown or withdrawn"));
        long columns = shape[dimensions - 1];
        if (columns % type.blockElements() != 0) {
            throw fault("the tensor " + quoted + " has rows of " + columns + " numbers, which do not fill blocks of "
                    + type.blockElements() + " as " + type + " has them");
        }
        long bytes = bytes(quoted, type, shape);
        long offset = in.i64("the offset of " + quoted);
        if (offset < 0 || offset % alignment != 0) {
            throw fault("the tensor " + quoted + " lies at offset " + Long.toUnsignedString(offset) + ", no multiple of the alignment "
                    + alignment);
        }
        return new Info(name, type, shape, offset, bytes);
    }

    private long bytes(String quoted, GgufType type, long[] shape) {
        try {
            long numel = 1;
            for (long size : shape) {
                numel = Math.multiplyExact(numel, size);
            }
            return Math.multiplyExact(numel / type.blockElements(), (long) type.blockBytes());
        } catch (ArithmeticException e) {
            throw new FormatException(path, "the size of tensor " + quoted + " overflows 64 bits", GgufCursor.REMEDY, e);
        }
    }

    /** Every tensor within the data, none upon another. */
    private void checkPlaces(List<Info> infos, long size) {
        List<Info> sorted = new ArrayList<>(infos);
        sorted.sort(Comparator.comparingLong(Info::offset));
        long end = 0;
        for (Info info : sorted) {
            String quoted = FormatException.quote(info.name);
            if (info.offset > size || info.bytes > size - info.offset) {
                throw fault("the tensor " + quoted + " takes " + info.bytes + " bytes at offset " + info.offset + ", the file has "
                        + Math.max(0, size) + " bytes of data");
            }
            if (info.offset < end) {
                throw fault("the tensor " + quoted + " at offset " + info.offset + " overlaps another, which ends at " + end);
            }
            end = info.offset + info.bytes;
        }
    }
}
