package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Thousands of damaged files: each is read or refused with a {@link FormatException}; nothing else is thrown, and
 * what is read lies within the file.
 */
class SafeTensorsFuzzTest {

    private static final int ROUNDS = 3000;
    private static final String[] FRAGMENTS = {"{", "}", "[", "]", ",", ":", "\"", "\\u0000", "\\ud800", "-1", "0",
        "9223372036854775807", "18446744073709551616", "1e400", "0.5", "null", "true", "NaN", "\"F64\"", "\"F4\"",
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "4294967296", "\u00e4", "[[[[[["};

    @TempDir
    Path folder;

    @Test
    void damagedSafetensorsAreReadOrRefused() throws IOException {
        Path file = folder.resolve("f.safetensors");
        SafeTensorsWriter.write(file, Map.of(
                "a", SafeTensorsWriterTest.floats(0, 1, 2, 3, 4, 5),
                "b", new RawTensor(StoredType.I16, new long[] {3, 1}, MemorySegment.ofArray(new short[] {7, -8, 9})),
                "empty", new RawTensor(StoredType.BF16, new long[] {0, 4}, MemorySegment.NULL)),
                Map.of("format", "pt"));
        int refused = fuzz(file, path -> {
            // The arena's end unmaps the file at once, which thousands of automatic ones would not.
            try (Arena arena = Arena.ofConfined()) {
                SafeTensorsFile.open(path, arena).rawTensors().forEach((name, tensor) -> use(tensor));
            }
        });
        assertThat(refused).isBetween(ROUNDS / 2, ROUNDS - 1);
    }

    @Test
    void damagedNpyIsReadOrRefused() throws IOException {
        Path file = folder.resolve("f.npy");
        Npy.write(file, new RawTensor(StoredType.F32, new long[] {2, 3},
                MemorySegment.ofArray(new float[] {0, 1, 2, 3, 4, 5})));
        int refused = fuzz(file, path -> use(Npy.read(path)));
        assertThat(refused).isBetween(ROUNDS / 4, ROUNDS - 1);
    }

    /** Touches every element; a type without numbers says so. */
    private static void use(RawTensor tensor) {
        try {
            assertThat(tensor.toDoubles()).hasSize((int) tensor.elements());
        } catch (UnsupportedOperationException e) {
            assertThat(tensor.type()).isIn(StoredType.F4, StoredType.F6_E2M3, StoredType.F6_E3M2, StoredType.C64);
        }
    }

    interface Reader {
        void read(Path path) throws IOException;
    }

    private int fuzz(Path original, Reader reader) throws IOException {
        byte[] valid = Files.readAllBytes(original);
        Path damaged = folder.resolve("damaged");
        SplittableRandom random = new SplittableRandom(20251121);
        return assertTimeoutPreemptively(Duration.ofSeconds(60), () -> {
            int refused = 0;
            for (int round = 0; round < ROUNDS; round++) {
                byte[] bytes = mutate(valid, random);
                Files.write(damaged, bytes);
                try {
                    reader.read(damaged);
                } catch (FormatException e) {
                    assertThat(e).hasMessageStartingWith(damaged + ": ");
                    assertThat(e.getMessage().length()).isLessThan(2000);
                    refused++;
                } catch (IOException | RuntimeException | Error e) {
                    throw new AssertionError("round " + round + ": " + Arrays.toString(bytes), e);
                }
            }
            return refused;
        });
    }

    private static byte[] mutate(byte[] valid, SplittableRandom random) {
        byte[] bytes = valid;
        int changes = 1 + random.nextInt(3);
        for (int c = 0; c < changes; c++) {
            int at = random.nextInt(bytes.length + 1);
            bytes = switch (random.nextInt(7)) {
                case 0 -> Arrays.copyOf(bytes, at);
                case 1 -> splice(bytes, at, at, FRAGMENTS[random.nextInt(FRAGMENTS.length)].getBytes(
                        StandardCharsets.UTF_8));
                case 2 -> splice(bytes, at, Math.min(bytes.length, at + random.nextInt(8)), new byte[0]);
                case 3 -> splice(bytes, at, Math.min(bytes.length, at + 1), new byte[] {(byte) random.nextInt()});
                // Same length, so that the length field stays right and the damage reaches the JSON.
                case 4, 5 -> overwrite(bytes, at, FRAGMENTS[random.nextInt(FRAGMENTS.length)].getBytes(
                        StandardCharsets.UTF_8));
                default -> overwrite(bytes, random.nextInt(12), new byte[] {(byte) random.nextInt()});
            };
            if (bytes.length == 0) {
                return bytes;
            }
        }
        return bytes;
    }

    private static byte[] splice(byte[] bytes, int from, int to, byte[] replacement) {
        byte[] out = Arrays.copyOf(bytes, bytes.length - (to - from) + replacement.length);
        System.arraycopy(replacement, 0, out, from, replacement.length);
        System.arraycopy(bytes, to, out, from + replacement.length, bytes.length - to);
        return out;
    }

    private static byte[] overwrite(byte[] bytes, int at, byte[] with) {
        byte[] out = bytes.clone();
        System.arraycopy(with, 0, out, Math.min(at, out.length),
                Math.max(0, Math.min(with.length, out.length - at)));
        return out;
    }
}
