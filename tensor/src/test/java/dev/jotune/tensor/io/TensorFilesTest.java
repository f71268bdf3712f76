package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Tensors from files and into files, on every backend. */
class TensorFilesTest {

    @TempDir
    Path folder;

    static Stream<Backend> backends() {
        return Backends.all().stream();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void viewsAreWrittenDenseAndReadBackMapped(Backend backend) throws IOException {
        Tensor x = Tensor.of(backend, new float[] {0, 1, 2, 3, 4, 5}, 2, 3);
        Path file = folder.resolve(Checkpoint.SINGLE_FILE);
        SafeTensorsWriter.writeTensors(file, Map.of("x", x, "columns", x.transpose(0, 1), "tail", x.slice(0, 1, 2),
                "half", x.to(DType.F16), "empty", Tensor.zeros(backend, DType.F32, 0, 3)), Map.of());
        Tensor mapped;
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.tensor("columns", backend).toFloatArray()).containsExactly(0, 3, 1, 4, 2, 5);
            assertThat(checkpoint.tensor("tail", backend).toFloatArray()).containsExactly(3, 4, 5);
            assertThat(checkpoint.tensor("empty", backend).shape()).containsExactly(0, 3);
            Tensor half = checkpoint.tensor("half", backend);
            assertThat(half.dtype()).isEqualTo(DType.F16);
            assertThat(half.toFloatArray()).containsExactly(0, 1, 2, 3, 4, 5);
            mapped = checkpoint.tensor("x", backend);
            assertThat(mapped.storage().host().address()).as("no copy").isEqualTo(checkpoint.data("x").address());
        }
        System.gc();
        assertThat(mapped.toFloatArray()).as("after closing").containsExactly(0, 1, 2, 3, 4, 5);
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void everyDtypeGoesThroughSafetensorsAndNpy(DType dtype) throws IOException {
        Backend backend = Backends.reference();
        Tensor x = Tensor.of(backend, DType.F64, new double[] {0, 1, 1, 0, 1, 1}, 3, 2).to(dtype);
        Path file = folder.resolve("x.safetensors");
        SafeTensorsWriter.writeTensors(file, Map.of("x", x), Map.of());
        Tensor read = SafeTensorsFile.open(file).raw("x").toTensor(backend);
        assertThat(read.dtype()).isEqualTo(dtype);
        assertThat(read.shape()).containsExactly(3, 2);
        assertThat(read.toDoubleArray()).containsExactly(0, 1, 1, 0, 1, 1);
        if (dtype != DType.BF16) {
            Path npy = folder.resolve("x.npy");
            Npy.write(npy, x.transpose(0, 1));
            Tensor array = Npy.read(npy, backend);
            assertThat(array.dtype()).isEqualTo(dtype);
            assertThat(array.shape()).containsExactly(2, 3);
            assertThat(array.toDoubleArray()).containsExactly(0, 1, 1, 1, 0, 1);
        }
    }

    @Tag("golden")
    @TestFactory
    Stream<DynamicTest> typesWithoutADtypeBecomeTheNextLargerOne() {
        return SafeTensorsGoldenTest.checks("safetensors_dtypes", (golden, check) -> {
            Path file = golden.file(check.get("file").asText());
            Map<String, Golden.Array> expected = Golden.arrays(golden.file("expected.safetensors"));
            for (String name : SafeTensorsFile.open(file).names()) {
                RawTensor raw = SafeTensorsFile.open(file).raw(name);
                Tensor tensor = raw.toTensor(Backends.reference());
                raw.type().dtype().ifPresent(dtype -> assertThat(tensor.dtype()).isEqualTo(dtype));
                assertThat(tensor.shape()).as(name).isEqualTo(expected.get(name).shape());
                assertThat(SafeTensorsGoldenTest.canonicalBits(tensor.toDoubleArray())).as(name)
                        .isEqualTo(SafeTensorsGoldenTest.canonicalBits(expected.get(name).values()));
            }
        });
    }

    /** Data may begin at any byte; such tensors are copied, since kernels read whole elements. */
    @Tag("golden")
    @TestFactory
    Stream<DynamicTest> unalignedDataAreCopied() {
        return SafeTensorsGoldenTest.checks("safetensors_layouts", (golden, check) -> {
            SafeTensorsFile file = SafeTensorsFile.open(golden.file(check.get("file").asText()));
            for (Backend backend : Backends.all()) {
                file.rawTensors().forEach((name, raw) -> {
                    Tensor tensor = raw.toTensor(backend);
                    assertThat(tensor.toDoubleArray()).as(name).isEqualTo(raw.toDoubles());
                    assertThat(tensor.numel() == 0 || tensor.address() % tensor.dtype().byteSize() == 0).isTrue();
                });
            }
        });
    }

    @ParameterizedTest
    @EnumSource(value = StoredType.class, names = {"F4", "F6_E2M3", "F6_E3M2", "C64"})
    void typesWithoutNumbersSaySo(StoredType type) {
        RawTensor raw = new RawTensor(type, new long[] {8}, MemorySegment.ofArray(new byte[type.bits()]));
        assertThatThrownBy(() -> raw.toTensor(Backends.reference()))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining(type.name());
    }
}
