package dev.jotune.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmitterTest {
    private static final Expr X = Expr.input(0);
    private static final Expr SOFTMAX = X.minus(X.rowMax()).exp().over(X.minus(X.rowMax()).exp().rowSum());

    @TempDir
    Path folder;

    private static KernelSource scale(String text) {
        return new KernelSource("scale", text, List.of(Param.in("x", DType.BF16), Param.out("y", DType.F32), Param.int32("n"), Param.real("by")),
                new TreeMap<>(Map.of("STEP", 4)), 64, DType.F32);
    }

    @Test
    void writesTheHeadFromTheParameterList() {
        String text = Emitter.emit(scale("KERNEL {\n    ST(y, LID, by * LD(x, LID));\n}\n"), Target.OPENCL);
        assertThat(text).contains("#define GROUP 64\n", "#define STEP 4\n", "#define LD_x(i) ld_bf16(x, i)\n", "#define ST_y(i, v) st_f32(y, i, v)\n")
                .endsWith("""
                KERNEL_HEAD scale(GLB const u16* x_base, i64 x_offset, GLB float* y_base, i64 y_offset, int n, real by) {
                    GLB const u16* x = x_base + x_offset;
                    GLB float* y = y_base + y_offset;
                    ST(y, LID, by * LD(x, LID));
                }
                """).doesNotContain("ST_x");
    }

    @Test
    void refusesWhatCannotBeAKernel() {
        assertThatThrownBy(() -> Emitter.emit(scale("void f() {}\n"), Target.CUDA)).hasMessageContaining("no line 'KERNEL {'");
        assertThatThrownBy(() -> Emitter.emit(scale("KERNEL {\n}\nKERNEL {\n}\n"), Target.CUDA)).hasMessageContaining("two lines");
        assertThatThrownBy(() -> new KernelSource("k", "", List.of(Param.int32("n"), Param.real("n")), new TreeMap<>(), 64, DType.F32))
                .hasMessageContaining("'n'");
        assertThatThrownBy(() -> new KernelSource("k", "", List.of(), new TreeMap<>(), 2048, DType.F32)).hasMessageContaining("2048");
        assertThatThrownBy(() -> new KernelSource("a b", "", List.of(), new TreeMap<>(), 64, DType.F32)).hasMessageContaining("'a b'");
        assertThatThrownBy(() -> new KernelSource("k", "", List.of(), new TreeMap<>(), 64, DType.BF16)).hasMessageContaining("BF16");
        assertThatThrownBy(() -> ProgramText.of(Program.of(X), DType.F32, 0, List.of(), List.of(DType.F32))).hasMessageContaining("1 inputs");
    }

    /** {@code i} and {@code v} are what the emitter calls the parameters of LD_x(i) and ST_x(i, v); the others are words of the dialect. */
    @Test
    void refusesNamesThatHaveAMeaning() {
        for (String taken : List.of("i", "v", "LID", "real", "f16", "real4", "half_words", "ld_f32", "GROUP_SUM", "HAS_DOUBLE", "PRAGMA")) {
            assertThatThrownBy(() -> new KernelSource("k", "", List.of(Param.int32(taken)), new TreeMap<>(), 64, DType.F32))
                    .hasMessageContaining("'" + taken + "'").hasMessageContaining("another name");
            assertThatThrownBy(() -> new KernelSource("k", "", List.of(), new TreeMap<>(Map.of(taken, 1)), 64, DType.F32))
                    .hasMessageContaining("'" + taken + "'");
            assertThatThrownBy(() -> new KernelSource(taken, "", List.of(), new TreeMap<>(), 64, DType.F32)).hasMessageContaining("'" + taken + "'");
        }
    }

    @Test
    void constantsReadBackAsTheSameNumber() {
        for (double v : new double[] {0.1, -1e-38, 3e38, 1e-45, 1 / 3.0}) {
            assertThat(Float.parseFloat(ProgramText.constant(v, DType.F32).replaceAll("[R()]", ""))).isEqualTo((float) v);
            assertThat(Double.parseDouble(ProgramText.constant(v, DType.F64).replaceAll("[R()]", ""))).isEqualTo(v);
        }
        assertThat(ProgramText.constant(1e39, DType.F32)).isEqualTo("POS_INF");
        assertThat(ProgramText.constant(-1e39, DType.F64)).isEqualTo("R(-1.0E39)");
        assertThat(ProgramText.constant(Double.NaN, DType.F32)).isEqualTo("NOT_A_NUMBER");
    }

    /** A reduction inside another needs a pass each; the last pass writes. */
    @Test
    void goesOverARowOnceForEachNestedReduction() {
        String text = ProgramText.of(Program.of(SOFTMAX), DType.F32, 1, List.of(DType.F32), List.of(DType.F32)).text();
        assertThat(text.split("for \\(i64 pos", -1)).hasSize(4);
        assertThat(text).containsOnlyOnce("ST(").containsOnlyOnce("GROUP_MAX(").containsOnlyOnce("GROUP_SUM(");
    }

    /** The CUDA texts pass NVIDIA's compiler, with what the programs' derivatives need, in both arithmetics and all stored types. */
    @Test
    void cudaTextCompiles() throws IOException, InterruptedException {
        Path nvcc = Path.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc");
        assumeTrue(Files.isExecutable(nvcc), () -> nvcc + " is not there");
        Expr gelu = X.times(0.5).times(X.times(Math.sqrt(0.5)).erf().plus(1));
        StringBuilder all = new StringBuilder();
        int count = 0;
        for (DType type : DType.values()) {
            DType arithmetic = type == DType.F64 ? DType.F64 : DType.F32;
            KernelSource source = ProgramText.of(Program.of(SOFTMAX, Derivative.of(gelu, 1, Expr.of(1)).getFirst()), arithmetic, 2,
                    List.of(type), List.of(type, type));
            Path file = folder.resolve("map" + count++ + ".cu");
            Files.writeString(file, Emitter.emit(source, Target.CUDA));
            all.append(' ').append(file);
        }
        Path log = folder.resolve("log");
        Process p = new ProcessBuilder("sh", "-c", nvcc + " -cubin -arch=sm_80" + " -odir " + folder + all).redirectErrorStream(true)
                .redirectOutput(log.toFile()).start();
        assertThat(p.waitFor(5, TimeUnit.MINUTES)).isTrue();
        assertThat(p.exitValue()).as(Files.readString(log)).isZero();
    }
}
