package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** Sums over lanes must not change while a run goes on, or it could not be resumed bit for bit. */
class LanesTest {

    /** Values whose sum depends on the order of addition. */
    private static float[] values(int round) {
        float[] values = new float[Mem.L];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(7.3 * i + round) * (1 + i);
        }
        return values;
    }

    private static float folded(float[] values) {
        float[] v = values.clone();
        for (int half = v.length / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                v[i] += v[i + half];
            }
        }
        return v[0];
    }

    /** Enough rounds for the method to be interpreted first and compiled twice on the way. */
    @Test
    void theOrderIsTheSameInterpretedAndCompiled() {
        for (int round = 0; round < 100_000; round++) {
            float[] values = values(round % 97);
            assertThat(Lanes.sum(FloatVector.fromArray(Mem.S, values, 0))).isEqualTo(folded(values));
        }
    }

    /** Whatever the Vector API does in an order of its own choice must stay out of the kernels. */
    @Test
    void noKernelLeavesTheOrderOpen() throws IOException {
        Path sources = Path.of(System.getProperty("jotune.root"), "tensor", "src", "main", "java");
        List<String> open = new ArrayList<>();
        try (Stream<Path> files = Files.walk(sources)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
                for (String line : Files.readAllLines(file)) {
                    if (line.matches(".*\\breduceLanes(ToLong)?\\(VectorOperators\\.(ADD|MUL).*")) {
                        open.add(file.getFileName() + ": " + line.strip());
                    }
                }
            }
        }
        assertThat(open).as("use Lanes.sum").isEmpty();
    }
}
