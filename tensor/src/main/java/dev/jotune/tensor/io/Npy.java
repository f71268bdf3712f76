package dev.jotune.tensor.io;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * Arrays in NumPy's {@code .npy} format, versions 1.0 to 3.0, of booleans, integers and the floats f2, f4 and f8.
 * Specification: <a href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">numpy.lib.format</a>.
 *
 * <p>A little-endian array in C order is memory-mapped; big-endian and Fortran order are converted while reading.
 * Pickled objects, structures and texts are refused. Files are written in version 1.0 as NumPy writes them.
 */
public final class Npy {

    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int LENGTH_AT = MAGIC.length + 2;
    /** The data begin at a multiple of this, so that they can be mapped aligned. */
    private static final int ALIGNMENT = 64;
    /** NumPy leaves room for an axis to grow to this many digits in place. */
    private static final int GROWTH_DIGITS = 21;
    private static final int LONGEST_HEADER = 1 << 20;
    private static final String REMEDY = "Save it again with numpy.save(file, array, allow_pickle=False).";

    private Npy() {
    }

    /**
     * Reads an array.
     *
     * @throws FormatException if the file is not a sound .npy file of a type named above
     * @throws IOException     if it cannot be read
     */
    public static RawTensor read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new NoSuchFileException(file.toString(), null, "there is no such file. Check the path");
        }
        MemorySegment whole;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            whole = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto());
        }
        ByteBuffer start = whole.asSlice(0, Math.min(whole.byteSize(), LENGTH_AT + Integer.BYTES))
                .asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        byte[] magic = new byte[MAGIC.length];
        if (start.remaining() < LENGTH_AT + Short.BYTES || !Arrays.equals(MAGIC, getBytes(start, magic))) {
            throw new FormatException(file, "it does not begin as a .npy file does", REMEDY);
        }
        int major = start.get();
        int minor = start.get();
        if (major < 1 || major > 3 || minor != 0) {
            throw new FormatException(file, "its version " + (major & 0xff) + "." + (minor & 0xff)
                    + " is unknown", REMEDY);
        }
        int lengthBytes = major == 1 ? Short.BYTES : Integer.BYTES;
        if (start.remaining() < lengthBytes) {
            throw new FormatException(file, "it ends within the header length", REMEDY);
        }
        long length = major == 1 ? Short.toUnsignedLong(start.getShort()) : Integer.toUnsignedLong(start.getInt());
        long dataStart = LENGTH_AT + lengthBytes + length;
        if (length > LONGEST_HEADER || dataStart > whole.byteSize()) {
            throw new FormatException(file, "the header length " + length + " exceeds "
                    + (length > LONGEST_HEADER ? "the limit of " + LONGEST_HEADER : "the file"), REMEDY);
        }
        byte[] text = new byte[(int) length];
        whole.asSlice(LENGTH_AT + lengthBytes, length).asByteBuffer().get(text);
        NpyHeader header = new NpyHeaderParser(file, new String(text,
                major == 3 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1)).parse();
        return tensor(file, header, whole.asSlice(dataStart));
    }

    /** Reads an array as a tensor (see {@link RawTensor#toTensor}). */
    public static Tensor read(Path file, Backend backend) throws IOException {
        return read(file).toTensor(backend);
    }

    private static byte[] getBytes(ByteBuffer buffer, byte[] bytes) {
        buffer.get(bytes);
        return bytes;
    }

    private static RawTensor tensor(Path file, NpyHeader header, MemorySegment data) {
        long expected;
        try {
            expected = header.type().byteSize(header.shape());
        } catch (ArithmeticException e) {
            throw new FormatException(file, e.getMessage(), REMEDY, e);
        }
        if (data.byteSize() != expected) {
            throw new FormatException(file, header.type() + " " + Arrays.toString(header.shape()) + " takes "
                    + expected + " bytes, but " + data.byteSize() + " follow the header",
                    "The file is cut off or holds more than one array. " + REMEDY);
        }
        boolean fortran = header.fortranOrder() && header.shape().length > 1;
        if (!fortran && !header.bigEndian()) {
            return new RawTensor(header.type(), header.shape(), data);
        }
        return new RawTensor(header.type(), header.shape(), converted(header, fortran, data));
    }

    /** A copy in C order and little-endian; as large as the data, which exist. */
    private static MemorySegment converted(NpyHeader header, boolean fortran, MemorySegment data) {
        int width = header.type().bits() / Byte.SIZE;
        long[] shape = header.shape();
        MemorySegment out = Arena.ofAuto().allocate(Math.max(data.byteSize(), 1), Long.BYTES)
                .asSlice(0, data.byteSize());
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = 0; i < shape.length; i++) {
            int axis = fortran ? i : shape.length - 1 - i;
            strides[axis] = stride;
            stride *= shape[axis];
        }
        long[] index = new long[shape.length];
        long from = 0;
        for (long to = 0; to < data.byteSize(); to += width) {
            for (int b = 0; b < width; b++) {
                int source = header.bigEndian() ? width - 1 - b : b;
                out.set(ValueLayout.JAVA_BYTE, to + b,
                        data.get(ValueLayout.JAVA_BYTE, from * width + source));
            }
            for (int axis = shape.length - 1; axis >= 0; axis--) {
                from += strides[axis];
                if (++index[axis] < shape[axis]) {
                    break;
                }
                from -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        return out;
    }

    /**
     * Writes an array atomically (see {@link AtomicFiles}).
     *
     * @throws IllegalArgumentException if NumPy has no type for the elements, as for BF16
     * @throws IOException              if the file cannot be written; the target is then as it was
     */
    public static void write(Path target, RawTensor tensor) throws IOException {
        byte[] header = header(tensor);
        AtomicFiles.write(target, channel -> {
            AtomicFiles.Content.bytes(header).writeTo(channel);
            SafeTensorsWriter.writeFully(channel, tensor.data());
        });
    }

    /** Writes a tensor of any backend and strides, as {@link #write(Path, RawTensor)} does. */
    public static void write(Path target, Tensor tensor) throws IOException {
        Tensor dense = tensor.contiguous();
        try {
            write(target, RawTensor.of(dense));
        } finally {
            // The bytes are the tensor's own and go with it.
            Reference.reachabilityFence(dense);
        }
    }

    private static byte[] header(RawTensor tensor) {
        String descr = NpyHeader.descr(tensor.type()).orElseThrow(() -> new IllegalArgumentException(
                "NumPy has no element type for " + tensor.type() + ". Convert the tensor to F32 before."));
        long[] shape = tensor.shape();
        String sizes = Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
        StringBuilder text = new StringBuilder("{'descr': '").append(descr)
                .append("', 'fortran_order': False, 'shape': (").append(sizes)
                .append(shape.length == 1 ? ",), }" : "), }");
        if (shape.length > 0) {
            text.repeat(' ', GROWTH_DIGITS - Long.toString(shape[0]).length());
        }
        int before = LENGTH_AT + Short.BYTES;
        int length = (before + text.length() + ALIGNMENT) / ALIGNMENT * ALIGNMENT - before;
        if (length > 0xffff) {
            throw new IllegalArgumentException("A shape of " + shape.length
                    + " axes does not fit into a .npy header. Reshape the tensor before.");
        }
        text.repeat(' ', length - 1 - text.length()).append('\n');
        ByteBuffer out = ByteBuffer.allocate(before + length).order(ByteOrder.LITTLE_ENDIAN);
        out.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) length);
        return out.put(text.toString().getBytes(StandardCharsets.US_ASCII)).array();
    }
}
