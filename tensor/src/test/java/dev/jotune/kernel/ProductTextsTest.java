package dev.jotune.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.kernel.ProductTexts.Skinny;
import dev.jotune.kernel.ProductTexts.Tiled;
import dev.jotune.kernel.ProductTexts.Weight;
import dev.jotune.kernel.ProductTexts.Widened;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProductTextsTest {
    @TempDir
    Path folder;

    @Test
    void tilesFitEveryDevice() {
        assertThat(Tile.CHOICES).allSatisfy(t -> {
            assertThat(t.group()).isLessThanOrEqualTo(256);
            assertThat(t.sharedBytes(Float.BYTES)).isLessThanOrEqualTo(32 << 10);
        }).anySatisfy(t -> assertThat(t.fits(Double.BYTES)).isTrue());
        assertThat(Tile.LARGE.fits(Double.BYTES)).isFalse();
        assertThat(Tile.LARGE.count(129, 1)).isEqualTo(2);
    }

    @Test
    void refusesTilesThatCannotBeShared() {
        assertThatThrownBy(() -> new Tile(30, 32, 16, 4, 4)).hasMessageContaining("[30, 32]").hasMessageContaining("multiples of four");
        assertThatThrownBy(() -> new Tile(32, 32, 16, 4, 12)).hasMessageContaining("[4, 12]");
        assertThatThrownBy(() -> new Tile(64, 64, 8, 4, 4)).hasMessageContaining("256 items").hasMessageContaining("steps of 8");
    }

    private List<KernelSource> kernels() {
        List<KernelSource> all = new ArrayList<>();
        all.add(new Tiled(DType.F32, DType.BF16, DType.F32, Tile.LARGE, true, true, true, Weight.NUMBERS).source());
        all.add(new Tiled(DType.F16, DType.F32, DType.BF16, Tile.MEDIUM, true, false, false, Weight.NUMBERS).source());
        all.add(new Tiled(DType.F64, DType.F32, DType.F64, Tile.SMALL, false, true, true, Weight.NUMBERS).source());
        all.add(new Skinny(DType.F32, DType.F32, DType.F32, 8, true, false, Weight.NUMBERS).source());
        all.add(new Tiled(DType.F32, DType.U8, DType.F32, Tile.LARGE, true, true, true, new Weight("Q4_K")).source());
        all.add(new Skinny(DType.F32, DType.U8, DType.F32, 8, true, true, new Weight(Weight.NF4)).source());
        all.add(new Widened(new Weight("Q6_K"), DType.F64, true).source());
        all.add(new Widened(new Weight(Weight.SIGNS), DType.F32, false).source());
        return all;
    }

    /** NVIDIA's compiler takes all texts and keeps every private array in registers. */
    @Test
    void cudaTextCompilesWithoutSpilling() throws IOException, InterruptedException {
        Path nvcc = Path.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc");
        assumeTrue(Files.isExecutable(nvcc), () -> nvcc + " is not there");
        StringBuilder all = new StringBuilder();
        int count = 0;
        for (KernelSource source : kernels()) {
            Path file = folder.resolve(source.name() + count++ + ".cu");
            Files.writeString(file, Emitter.emit(source, Target.CUDA));
            all.append(' ').append(file);
        }
        Path log = folder.resolve("log");
        Process p = new ProcessBuilder("sh", "-c", nvcc + " -cubin -arch=sm_80 -Xptxas -v -diag-suppress 177 -odir " + folder + all)
                .redirectErrorStream(true).redirectOutput(log.toFile()).start();
        assertThat(p.waitFor(1, TimeUnit.HOURS)).isTrue();
        String said = Files.readString(log);
        assertThat(p.exitValue()).as(said).isZero();
        assertThat(said.lines().filter(l -> l.contains("spill stores"))).hasSize(count)
                .allSatisfy(l -> assertThat(l).contains(" 0 bytes spill stores"));
    }
}
