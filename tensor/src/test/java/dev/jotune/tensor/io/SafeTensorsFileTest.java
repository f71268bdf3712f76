package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the golden files leave open. */
class SafeTensorsFileTest {

    @TempDir
    Path folder;

    @Test
    void messagesNameTheTensorTheValuesAndTheRemedy() throws IOException {
        Path file = write("{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]}}", 20);
        assertThatThrownBy(() -> SafeTensorsFile.open(file)).isInstanceOf(FormatException.class).hasMessage(file
                + ": tensor \"w\": F32 [2, 3] takes 24 bytes, but its data_offsets span 20. "
                + "Copy or download the file again, or convert it with a current tool.");
    }

    @Test
    void hostileNamesAreShownHarmless() throws IOException {
        String name = "\\u001b[31m\\n" + "x".repeat(10_000);
        Path file = write("{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,5]}}", 5);
        assertThatThrownBy(() -> SafeTensorsFile.open(file)).isInstanceOf(FormatException.class)
                .hasMessageContaining("\"\\u001b[31m\\u000axxx").hasMessageContaining("...\"")
                .satisfies(e -> assertThat(e.getMessage().length()).isLessThan(500));
    }

    /** The file really has these lengths, so only the limit and the first byte stand between it and the heap. */
    @Test
    void longHeadersAreRefusedBeforeTheyAreRead() throws IOException {
        Path file = folder.resolve("sparse.safetensors");
        for (long claimed : new long[] {SafeTensorsHeader.LIMIT, SafeTensorsHeader.LIMIT + 1, 4_000_000_000L}) {
            try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
                sparse.setLength(5_000_000_000L);
                sparse.seek(0);
                sparse.writeLong(Long.reverseBytes(claimed));
            }
            assertThatThrownBy(() -> SafeTensorsFile.open(file)).isInstanceOf(FormatException.class)
                    .hasMessageContaining(claimed <= SafeTensorsHeader.LIMIT ? "begin with '{'" : "limit");
        }
    }

    @Test
    void tensorsBeyondTwoGigabytesAreMapped() throws IOException {
        long bytes = 3L << 30;
        Path file = write("{\"w\":{\"dtype\":\"U8\",\"shape\":[" + bytes + "],\"data_offsets\":[0," + bytes + "]}}", 0);
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.seek(sparse.length() + bytes - 1);
            sparse.write(7);
        }
        MemorySegment data = SafeTensorsFile.open(file).data("w");
        assertThat(data.get(ValueLayout.JAVA_BYTE, bytes - 1)).isEqualTo((byte) 7);
        RawTensor raw = SafeTensorsFile.open(file).raw("w");
        assertThat(raw.elements()).isEqualTo(bytes);
        assertThatThrownBy(raw::toDoubles).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining(Long.toString(bytes));
    }

    @Test
    void typesBelowEightBitsAreMeasuredInBits() throws IOException {
        Path file = write("{\"w\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3);
        assertThat(SafeTensorsFile.open(file).raw("w").elements()).isEqualTo(4);
        Path ragged = write("{\"w\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2);
        assertThatThrownBy(() -> SafeTensorsFile.open(ragged)).isInstanceOf(FormatException.class)
                .hasMessageContaining("last byte");
    }

    @Test
    void anEmptyTensorMayNotHideAnOverflow() throws IOException {
        Path file = write("{\"w\":{\"dtype\":\"U8\",\"shape\":[0,4611686018427387904,4],\"data_offsets\":[0,0]}}", 0);
        assertThatThrownBy(() -> SafeTensorsFile.open(file)).isInstanceOf(FormatException.class)
                .hasMessageContaining("overflows");
    }

    @Test
    void whatIsNotAFileIsNamed() {
        assertThatThrownBy(() -> SafeTensorsFile.open(folder)).isInstanceOf(NoSuchFileException.class)
                .hasMessageContaining(folder.toString()).hasMessageContaining("not a regular file");
    }

    @Test
    void unsignedLongsRoundToTheNearestDouble() {
        long[] values = {-1, Long.MIN_VALUE, Long.MIN_VALUE + 1025, Long.MIN_VALUE + 1024, 5};
        RawTensor raw = new RawTensor(StoredType.U64, new long[] {5}, MemorySegment.ofArray(values));
        // Doubles step by 2048 above 2^63: 1024 is a tie and goes to even, 1025 goes up.
        assertThat(raw.toDoubles()).containsExactly(0x1p64, 0x1p63, 0x1p63 + 2048, 0x1p63, 5);
        assertThatThrownBy(raw::toLongs).isInstanceOf(ArithmeticException.class)
                .hasMessageContaining("18446744073709551615");
    }

    private Path write(String json, int dataBytes) throws IOException {
        byte[] header = json.getBytes(StandardCharsets.UTF_8);
        ByteBuffer out = ByteBuffer.allocate(Long.BYTES + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(header.length).put(header);
        return Files.write(folder.resolve("x.safetensors"), out.array());
    }
}
