package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyTest {

    @TempDir
    Path folder;

    /** Headers as NumPy 2.4 writes them, trailing spaces by their number. */
    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "F32; 2,3; {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }; 58",
        "F64; ; {'descr': '<f8', 'fortran_order': False, 'shape': (), }; 62",
        "BOOL; 0,5; {'descr': '|b1', 'fortran_order': False, 'shape': (0, 5), }; 58",
        "I8; 4; {'descr': '|i1', 'fortran_order': False, 'shape': (4,), }; 60",
    })
    void headersAreNumpys(StoredType type, String sizes, String dictionary, int spaces) throws IOException {
        long[] shape = sizes == null ? new long[0] : Arrays.stream(sizes.split(","))
                .mapToLong(Long::parseLong).toArray();
        int bytes = (int) type.byteSize(shape);
        Path file = folder.resolve("x.npy");
        Npy.write(file, new RawTensor(type, shape, MemorySegment.ofArray(new byte[bytes])));
        byte[] expected = npy(1, dictionary + " ".repeat(spaces) + "\n", new byte[bytes]);
        assertThat(Files.readAllBytes(file)).isEqualTo(expected);
        assertThat(expected.length - bytes).isEqualTo(128);
        RawTensor read = Npy.read(file);
        assertThat(read.type()).isEqualTo(type);
        assertThat(read.shape()).isEqualTo(shape);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void everyVersionIsRead(int version) throws IOException {
        assertThat(read(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
                little(1f, 2f)).toFloats()).containsExactly(1, 2);
    }

    @Test
    void fortranOrderAndBigEndianAreConverted() throws IOException {
        // The array [[1, 2, 3], [4, 5, 6]] by columns.
        byte[] columns = little(1f, 4f, 2f, 5f, 3f, 6f);
        String header = "{'descr': '%sf4', 'fortran_order': True, 'shape': (2, 3), }\n";
        assertThat(read(1, header.formatted("<"), columns).toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
        byte[] swapped = columns.clone();
        ByteBuffer.wrap(swapped).asIntBuffer().put(
                ByteBuffer.wrap(columns).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer());
        RawTensor converted = read(1, header.formatted(">"), swapped);
        assertThat(converted.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
        assertThat(converted.shape()).containsExactly(2, 3);
    }

    @Test
    void fortranOrderOfThreeAxesIsConverted() throws IOException {
        byte[] data = new byte[24];
        for (int i = 0; i < 2; i++) {
            for (int j = 0; j < 3; j++) {
                for (int k = 0; k < 4; k++) {
                    data[i + 2 * j + 6 * k] = (byte) (12 * i + 4 * j + k);
                }
            }
        }
        double[] read = read(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }\n", data).toDoubles();
        for (int i = 0; i < read.length; i++) {
            assertThat(read[i]).isEqualTo(i);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,",
        "{'descr': '<f4",
    })
    void badHeadersAreRefused(String header) {
        assertThatThrownBy(() -> read(1, header, little(1f, 2f))).isInstanceOf(FormatException.class)
                .hasMessageContaining("x.npy").hasMessageContaining("numpy.save");
    }

    @Test
    void badFramesAreRefused() throws IOException {
        byte[] good = npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", little(1f));
        for (int length = 0; length < good.length; length++) {
            Files.write(folder.resolve("x.npy"), Arrays.copyOf(good, length));
            assertThatThrownBy(() -> Npy.read(folder.resolve("x.npy"))).as("first %s bytes", length)
                    .isInstanceOf(FormatException.class);
        }
        assertThatThrownBy(() -> read(4, "{}", new byte[0])).isInstanceOf(FormatException.class)
                .hasMessageContaining("version 4.0");
        byte[] huge = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, -1, -1, -1, -1};
        Files.write(folder.resolve("x.npy"), huge);
        assertThatThrownBy(() -> Npy.read(folder.resolve("x.npy"))).isInstanceOf(FormatException.class)
                .hasMessageContaining("4294967295");
    }

    @Test
    void typesThatNumpyLacksAreRefused() {
        assertThatThrownBy(() -> Npy.write(folder.resolve("x.npy"),
                new RawTensor(StoredType.BF16, new long[] {1}, MemorySegment.ofArray(new byte[2]))))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("BF16");
        assertThat(folder).isEmptyDirectory();
    }

    private RawTensor read(int version, String header, byte[] data) throws IOException {
        Path file = folder.resolve("x.npy");
        Files.write(file, npy(version, header, data));
        return Npy.read(file);
    }

    private static byte[] npy(int version, String header, byte[] data) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
        out.write(header.length());
        out.write(header.length() >>> 8);
        if (version > 1) {
            out.write(new byte[2]);
        }
        out.write(header.getBytes(StandardCharsets.UTF_8));
        out.write(data);
        return out.toByteArray();
    }

    private static byte[] little(float... values) {
        ByteBuffer out = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            out.putFloat(value);
        }
        return out.array();
    }
}
