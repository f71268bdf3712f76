package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelTexts;
import dev.jotune.kernel.Target;
import dev.jotune.kernel.Tile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What is compiled ahead belongs to the texts of today: each kernel of the set has a file named by its text, there are no others but those
 * that whole models ask for, and the compiler that made them makes them again. With {@code -D}{@value CompiledAhead#WRITE}{@code =true}
 * they are written anew.
 */
class EmbeddedPtxTest {
    @TempDir
    private Path dir;

    /**
     * The set, by names for reports: the kernels of primitives that are one text whatever the shapes, the products' most common instances, and
     * the decode step's. Which others a model asks for is known where models are.
     */
    private static Map<String, String> texts() {
        Map<String, String> all = new LinkedHashMap<>();
        for (String name : List.of("rotary", "adamw", "top k", "uniform of F32", "sums down columns of F32", "sums along rows of F32", "argmax",
                "gather", "scatterAdd", "product of few rows", "product in " + Tile.LARGE, "product in " + Tile.SMALL, "rms norm, residual false",
                "rms norm, residual true")) {
            all.put(name, Emitter.emit(KernelTexts.all().get(name), Target.CUDA));
        }
        all.put("fill", Emitter.emit(CudaBackend.FILL, Target.CUDA));
        DecodeTextTest.all().forEach((name, source) -> all.put("decode, " + name, source.emit()));
        return all;
    }

    private static String digest(String text) {
        return EmbeddedPtx.name(text).replaceAll(".*/|[.].*", "");
    }

    @Test
    void everyKernelOfTheSetHasItsFileAndNothingElseDoes() throws IOException, InterruptedException {
        Set<String> wanted = new TreeSet<>(CompiledAhead.steps());
        texts().values().forEach(text -> wanted.add(digest(text)));
        if (Boolean.getBoolean(CompiledAhead.WRITE)) {
            for (String old : CompiledAhead.all()) {
                if (!wanted.contains(old)) {
                    CompiledAhead.delete(old);
                }
            }
            CompiledAhead.write(compiled(), dir);
        }
        assertThat(CompiledAhead.all()).as(CompiledAhead.advice("EmbeddedPtxTest")).isEqualTo(wanted);
    }

    @Test
    void driversGetAZeroAtTheEnd() {
        texts().forEach((name, text) -> {
            Optional<byte[]> found = EmbeddedPtx.find(text);
            assertThat(found).as(name).isPresent();
            assertThat(found.get()[found.get().length - 1]).as(name).isZero();
        });
    }

    @Test
    void theCompilerThatMadeThemMakesThemAgain() throws IOException, InterruptedException {
        CompiledAhead.compilerIsTheSame(dir);
        for (Map.Entry<String, String> e : compiled().entrySet()) {
            assertThat(CompiledAhead.ptx(e.getKey())).as(e.getKey()).isEqualTo(e.getValue());
        }
    }

    private Map<String, String> compiled() throws IOException, InterruptedException {
        Path texts = Files.createDirectories(dir.resolve("texts/sm_80"));
        for (String text : new TreeMap<>(texts()).values()) {
            Files.writeString(texts.resolve(digest(text) + ".cu"), text, StandardCharsets.UTF_8);
        }
        return CompiledAhead.compile(texts.getParent(), dir);
    }
}
