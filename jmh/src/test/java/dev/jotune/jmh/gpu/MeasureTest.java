package dev.jotune.jmh.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.cuda.Emulation;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The measuring of {@code bench/gpu} at tiny sizes: every row works on every backend, a wrong result is never timed, nothing stops the rest. */
class MeasureTest {
    private static final long NEVER = Long.MAX_VALUE;
    private static final List<String> FEW = List.of("copy", "gemm_f32", "layer_norm");

    @TempDir
    Path folder;

    private static Measure on(Backend backend, Results results, String... peer) {
        return new Measure(new Setting(backend, Setting.Size.TINY), results, new Peer(List.of(peer)),
                new PrintStream(OutputStream.nullOutputStream()), () -> { });
    }

    /** On the CPU, and with the kernels of CUDA on the emulator. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cuda:0"})
    void everyRowIsMeasured(String device) {
        if (!device.equals("cpu")) {
            Emulation.install();
        }
        Results results = new Results(folder);
        assertThat(on(Backends.get(device), results).all(Goal.BY_WEIGHT, NEVER)).isZero();
        for (String id : Goal.BY_WEIGHT) {
            JsonNode row = results.row(id).orElseThrow();
            assertThat(row.path("failed").asText()).as(id).isEmpty();
            assertThat(row.path("ours").asDouble()).as(id).isPositive();
        }
    }

    @Test
    void everyGoalIsMeasured() {
        assertThat(Goal.BY_WEIGHT).containsExactlyInAnyOrderElementsOf(Goal.ALL.stream().map(Goal::id).toList());
    }

    /** The CPU's backend, but {@code matmul} does something else. */
    private static Backend withMatmul(Runnable after, boolean instead) {
        return (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, args) -> {
            try {
                if (!method.getName().equals("matmul") || !instead) {
                    Object result = method.invoke(Backends.cpu(), args);
                    if (method.getName().equals("matmul")) {
                        ((Tensor) args[2]).slice(0, 0, 1).copyFrom(((Tensor) args[2]).slice(0, 1, 2));
                    }
                    return result instanceof Tensor t ? t.viewOn((Backend) proxy) : result;
                }
                after.run();
                return null;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
    }

    @Test
    void aRowThatFailsIsNamedAndTheNextStartGoesOn() {
        Backend broken = withMatmul(() -> {
            throw new IllegalStateException("the device is lost");
        }, true);
        Results results = new Results(folder);
        assertThat(on(broken, results).all(FEW, NEVER)).isEqualTo(Measure.FAILED);
        assertThat(results.row("gemm_f32").orElseThrow().path("failed").asText()).isEqualTo("the device is lost");
        assertThat(results.row("layer_norm")).isEmpty();
        assertThat(on(broken, results).all(FEW, NEVER)).isZero();
        assertThat(results.row("layer_norm").orElseThrow().has("ours")).isTrue();
    }

    @Test
    void aWrongResultIsNotTimed() {
        Results results = new Results(folder);
        on(withMatmul(() -> { }, false), results).all(List.of("gemm_f32"), NEVER);
        JsonNode row = results.row("gemm_f32").orElseThrow();
        assertThat(row.path("failed").asText()).startsWith("wrong by ");
        assertThat(row.has("micros")).isFalse();
    }

    @Test
    void anUnwrittenResultIsNotTimed() {
        Results results = new Results(folder);
        on(withMatmul(() -> { }, true), results).all(List.of("gemm_f32"), NEVER);
        assertThat(results.row("gemm_f32").orElseThrow().path("failed").asText()).startsWith("wrong by NaN");
    }

    @Test
    void nothingIsBegunWhenTheTimeIsUp() {
        Results results = new Results(folder);
        assertThat(on(Backends.cpu(), results).all(FEW, 0)).isZero();
        assertThat(results.all()).isEmpty();
    }

    @Test
    void thePeersAnswerStandsBesideOurs() throws IOException {
        Results results = new Results(folder);
        on(Backends.cpu(), results, "sh", "-c", "while read row; do echo words; echo \"{\\\"value\\\": 2.5, \\\"what\\\": \\\"a library\\\"}\"; done")
                .all(List.of("copy"), NEVER);
        JsonNode row = results.row("copy").orElseThrow();
        assertThat(row.path("vendor").asDouble()).isEqualTo(2.5);
        String page = Files.readString(folder.resolve("RESULTS.md"));
        assertThat(page).contains("2.5 TB/s (a library)").contains("not measured");
        assertThat(Files.readString(folder.resolve("results.json"))).contains("\"vendor\" : 2.5");
    }

    @Test
    void aPeerThatEndsIsNamed() {
        Results results = new Results(folder);
        on(Backends.cpu(), results, "sh", "-c", "exit 1").all(List.of("copy"), NEVER);
        assertThat(results.row("copy").orElseThrow().path("vendor_error").asText()).isNotEmpty();
        assertThat(results.row("copy").orElseThrow().has("ours")).isTrue();
    }

    @Test
    void aLineThatWasCutOffIsPassedOver() throws IOException {
        Results results = new Results(folder);
        results.add(Results.object().put("row", "copy").put("ours", 1.0));
        Files.writeString(folder.resolve("lines.jsonl"), Files.readString(folder.resolve("lines.jsonl")) + "{\"row\": \"gemm");
        assertThat(results.all()).hasSize(1);
    }

    @Test
    void levels() {
        Goal gemm = Goal.of("gemm_bf16");
        assertThat(gemm.level(700, OptionalDouble.empty())).isEqualTo("silver");
        assertThat(gemm.level(700, OptionalDouble.of(690))).as("the vendor's own figure is gold").isEqualTo("gold");
        assertThat(gemm.level(300, OptionalDouble.empty())).isEqualTo("below bronze");
        assertThat(Goal.of("linear_lora").level(1.04, OptionalDouble.empty())).as("less is better").isEqualTo("silver");
        assertThat(Goal.of("linear_xent_both").level(60, OptionalDouble.empty())).isEqualTo("below gold");
        assertThat(Goal.of("lora_step").level(1, OptionalDouble.empty())).isEqualTo("-");
    }

    /** A row of the table that the committed page lacks would be a number that nobody misses. */
    @Test
    void theCommittedPageHasEveryRow() throws IOException {
        String page = Files.readString(Path.of(System.getProperty("jotune.root"), "bench/gpu/RESULTS.md"));
        for (Goal goal : Goal.ALL) {
            assertThat(page).contains("| " + goal.what() + " | " + goal.shape() + " | " + goal.floor() + " | " + goal.goals() + " |");
        }
    }
}
