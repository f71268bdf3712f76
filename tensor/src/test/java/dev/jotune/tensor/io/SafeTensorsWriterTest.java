package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.testing.Golden;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafeTensorsWriterTest {

    @TempDir
    Path folder;

    /** Files that the reference library wrote come out byte for byte when read and written again. */
    @Tag("golden")
    @Test
    void rewritingTheReferencesFilesChangesNoByte() throws IOException {
        int files = 0;
        for (Golden.Case golden : Golden.cases("peft").toList()) {
            if (!Files.isDirectory(golden.folder())) {
                continue;
            }
            for (Path file : safetensorsIn(golden.folder())) {
                SafeTensorsFile read = SafeTensorsFile.open(file);
                Path copy = folder.resolve("copy.safetensors");
                SafeTensorsWriter.write(copy, read.rawTensors(), read.metadata());
                assertThat(Files.mismatch(file, copy)).as(file.toString()).isEqualTo(-1);
                files++;
            }
        }
        assertThat(files).as("files found in the golden suite peft").isPositive();
    }

    private static List<Path> safetensorsIn(Path folder) throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            return walk.filter(f -> f.toString().endsWith(".safetensors")).toList();
        }
    }

    @Test
    void layoutIsTheReferenceLibrarys() throws IOException {
        Map<String, RawTensor> tensors = Map.of(
                "b", floats(1, 2), "a", floats(3),
                "bytes", new RawTensor(StoredType.U8, new long[] {3}, MemorySegment.ofArray(new byte[] {1, 2, 3})),
                "long\u0001\n\"\u00e4",
                new RawTensor(StoredType.I64, new long[0], MemorySegment.ofArray(new long[] {9})));
        Path file = folder.resolve("x.safetensors");
        SafeTensorsWriter.write(file, tensors, Map.of("format", "pt", "a/b", "\\"));
        byte[] bytes = Files.readAllBytes(file);
        String json = """
                {"__metadata__":{"a/b":"\\\\","format":"pt"},\
                "long\\u0001\\n\\"\u00e4":{"dtype":"I64","shape":[],"data_offsets":[0,8]},\
                "a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},\
                "b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},\
                "bytes":{"dtype":"U8","shape":[3],"data_offsets":[20,23]}}""";
        int length = json.getBytes(StandardCharsets.UTF_8).length;
        int padded = bytes.length - 8 - 23;
        assertThat(padded % 8).isZero();
        assertThat(padded - length).isBetween(0, 7);
        assertThat(new String(bytes, 8, padded, StandardCharsets.UTF_8).stripTrailing()).isEqualTo(json);
        assertThat(SafeTensorsFile.open(file).raw("a").toFloats()).containsExactly(3);
        assertThat(SafeTensorsFile.open(file).raw("long\u0001\n\"\u00e4").toLongs()).containsExactly(9);
    }

    @Test
    void metadataKeepsTheOrderOfAnOrderedMap() throws IOException {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("z", "1");
        metadata.put("a", "2");
        Path file = folder.resolve("x.safetensors");
        SafeTensorsWriter.write(file, Map.of(), metadata);
        assertThat(SafeTensorsFile.open(file).metadata().keySet()).containsExactly("z", "a");
    }

    @Test
    void namesBeyondTheBasicPlaneSortByTheirUtf8() throws IOException {
        // In UTF-16 the emoji (d83d...) comes before the full-width letter (ff21), in UTF-8 after it.
        Path file = folder.resolve("x.safetensors");
        SafeTensorsWriter.write(file, Map.of("\ud83d\ude00", floats(1), "\uff21", floats(2)), Map.of());
        assertThat(SafeTensorsFile.open(file).names()).containsExactly("\uff21", "\ud83d\ude00");
    }

    @Test
    void aFileMayBeRewrittenFromItsOwnPages() throws IOException {
        Path file = folder.resolve("x.safetensors");
        SafeTensorsWriter.write(file, Map.of("a", floats(1, 2, 3)), Map.of());
        SafeTensorsFile open = SafeTensorsFile.open(file);
        SafeTensorsWriter.write(file, Map.of("b", open.raw("a")), Map.of());
        assertThat(SafeTensorsFile.open(file).raw("b").toFloats()).containsExactly(1, 2, 3);
        assertThat(open.raw("a").toFloats()).containsExactly(1, 2, 3);
    }

    @Test
    void whatCannotBeWrittenIsRefusedAndTheTargetKept() throws IOException {
        Path file = folder.resolve("x.safetensors");
        Files.writeString(file, "old");
        assertThatThrownBy(() -> SafeTensorsWriter.write(file, Map.of("__metadata__", floats(1)), Map.of()))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("__metadata__");
        assertThatThrownBy(() -> SafeTensorsWriter.write(file, Map.of("\ud800", floats(1)), Map.of()))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("\\ud800");
        assertThatThrownBy(() -> new RawTensor(StoredType.F32, new long[] {2}, MemorySegment.ofArray(new byte[7])))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("7 bytes");
        assertThat(file).hasContent("old");
    }

    static RawTensor floats(float... values) {
        return new RawTensor(StoredType.F32, new long[] {values.length}, MemorySegment.ofArray(values));
    }
}
