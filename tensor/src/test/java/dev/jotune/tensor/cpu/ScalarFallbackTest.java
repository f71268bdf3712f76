package dev.jotune.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ScalarFallbackTest {
    /** What the child does: a product and a sum on the default backend. */
    public static final class Child {
        public static void main(String[] args) {
            Backend cpu = Backends.cpu();
            Tensor a = Tensor.of(cpu, new float[] {1, 2, 3, 4}, 2, 2);
            Tensor out = Tensor.empty(cpu, DType.F32, 2, 2);
            cpu.matmul(a, a, out, false);
            System.out.println(cpu.name() + ": " + cpu.description() + " " + List.of(out.toFloatArray()[0], out.toFloatArray()[3]));
        }
    }

    @Test
    void withoutTheVectorModuleScalarCodeRunsAfterOneLineOfWarning() throws Exception {
        Process child = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"), Child.class.getName()).start();
        String out = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        String err = new String(child.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor()).as(err).isZero();
        assertThat(out.strip()).isEqualTo("cpu: scalar code (no Vector API) [7.0, 22.0]");
        assertThat(err.strip().lines()).singleElement().asString().contains("jdk.incubator.vector").contains("--add-modules");
    }

    @Test
    void aMappedTensorIsNotWritten() {
        for (Backend b : Backends.all()) {
            Tensor mapped = b.map(Arena.ofAuto().allocate(16, 8).asReadOnly(), DType.F32, 2, 2);
            Tensor ones = Tensor.full(b, DType.F32, 1, 2, 2);
            assertThatThrownBy(() -> mapped.copyFrom(ones)).hasMessageContaining("mapped file");
            assertThatThrownBy(() -> b.matmul(ones, ones, mapped, true)).hasMessageContaining("mapped file");
            assertThatThrownBy(() -> b.fill(mapped, 1)).hasMessageContaining("mapped file");
            assertThat(ones.copyFrom(mapped).toFloatArray()).containsOnly(0);
        }
    }
}
