package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The tile that matrix products are made of reaches 0.80 of the multiply-add burst. A ratio within one process, the best of
 * five launches: other work on the machine slows both, and the compiler's luck is drawn anew in each.
 */
@Tag("heavy")
class ResidentTileTest {
    private static final int LAUNCHES = 5;
    private static final double LEAST = 0.80;

    @Test
    void theTileReachesFourFifthsOfTheBurst() throws IOException, InterruptedException {
        assumeTrue(Mem.L == 16, "four vectors a row are for machines with 32 vector registers");
        double best = 0;
        for (int launch = 0; launch < LAUNCHES && best < LEAST; launch++) {
            double ratio = launch();
            // Nothing is faster than the burst: such a launch was disturbed, and says nothing.
            best = ratio < 1.05 ? Math.max(best, ratio) : best;
        }
        assertThat(best).isGreaterThanOrEqualTo(LEAST);
    }

    private static double launch() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(ProcessHandle.current().info().command().orElse("java"), "-Xmx256m", "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"),
                ResidentTile.class.getName()).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.lines().filter(l -> l.startsWith("ratio ")).mapToDouble(l -> Double.parseDouble(l.substring(6))).findFirst().orElseThrow();
    }
}
