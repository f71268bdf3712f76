package dev.jotune.peft.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.io.StoredType;
import dev.jotune.tensor.random.Philox;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointMergeTest {
    private static final SequencedMap<String, byte[]> NOTHING = new LinkedHashMap<>();

    @TempDir
    private Path dir;

    private static Tensor noise(long seed, DType type, long... shape) {
        int n = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        double[] x = new double[n];
        Arrays.setAll(x, i -> Philox.normal(seed, 0, i));
        return Tensor.of(Backends.cpu(), type, x, shape);
    }

    private Path model(String name, Map<String, Tensor> tensors) {
        try {
            Path folder = Files.createDirectories(dir.resolve(name));
            SafeTensorsWriter.writeTensors(folder.resolve(Checkpoint.SINGLE_FILE), tensors, Map.of());
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path model(String name, long seed) {
        Map<String, Tensor> t = new LinkedHashMap<>();
        t.put("a.weight", noise(seed, DType.F32, 37, 21));
        t.put("b.weight", noise(seed + 100, DType.BF16, 5, 7));
        t.put("c.weight", noise(seed + 200, DType.F16, 11));
        t.put("steps", Tensor.of(Backends.cpu(), new long[] {3, 4}, 2));
        return model(name, t);
    }

    private static CheckpointMerge merge(Path... folders) throws IOException {
        SequencedMap<String, Checkpoint> all = new LinkedHashMap<>();
        for (Path f : folders) {
            all.put(f.getFileName().toString(), Checkpoint.open(f));
        }
        return new CheckpointMerge(all);
    }

    private static double[] values(Path folder, String name) throws IOException {
        return Checkpoint.open(folder).raw(name).toDoubles();
    }

    @Test
    void aSoupOfOneModelManyTimesIsThatModelByteForByte() throws IOException {
        Path a = model("a", 1);
        merge(a, model("a again", 1), model("a once more", 1)).write(dir.resolve("out"), (n, m) -> Soup.uniform(m), Optional.empty(),
                CheckpointMerge.SHARD, NOTHING);
        assertThat(dir.resolve("out/model.safetensors")).exists();
        try (Checkpoint was = Checkpoint.open(a); Checkpoint is = Checkpoint.open(dir.resolve("out"))) {
            assertThat(is.names()).containsExactlyInAnyOrderElementsOf(was.names());
            for (String n : was.names()) {
                assertThat(is.raw(n).type()).isEqualTo(was.raw(n).type());
                assertThat(is.data(n).mismatch(was.data(n))).as(n).isEqualTo(-1);
            }
        }
    }

    @Test
    void taskVectorsOfWeightZeroLeaveTheBaseAndOfOneModelGiveThatModel() throws IOException {
        Path base = model("base", 1);
        Path tuned = model("tuned", 2);
        CheckpointMerge merge = merge(base, tuned);
        merge.write(dir.resolve("zero"), merge.taskVectors(new TaskArithmetic(), new double[] {0}, 1, false), Optional.empty(), 1 << 20, NOTHING);
        merge.write(dir.resolve("one"), merge.taskVectors(new TaskArithmetic(), new double[] {1}, 1, true), Optional.empty(), 1 << 20, NOTHING);
        for (String n : List.of("a.weight", "b.weight", "c.weight", "steps")) {
            assertThat(values(dir.resolve("zero"), n)).containsExactly(values(base, n));
            assertThat(values(dir.resolve("one"), n)).containsExactly(values(tuned, n));
        }
    }

    @Test
    void shardsBeginAnewWhereTheyAreFullAndTheIndexNamesThem() throws IOException {
        merge(model("a", 1), model("b", 2)).write(dir.resolve("out"), (n, m) -> Soup.uniform(m), Optional.of(StoredType.F64), 200,
                NOTHING);
        try (Stream<Path> files = Files.list(dir.resolve("out"))) {
            assertThat(files.map(f -> f.getFileName().toString())).containsExactlyInAnyOrder("model.safetensors.index.json",
                    "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors", "model-00003-of-00004.safetensors",
                    "model-00004-of-00004.safetensors");
        }
        double[] a = values(dir.resolve("a"), "a.weight");
        double[] b = values(dir.resolve("b"), "a.weight");
        double[] mean = values(dir.resolve("out"), "a.weight");
        for (int i = 0; i < mean.length; i++) {
            assertThat(mean[i]).isCloseTo((a[i] + b[i]) / 2, within(1e-15));
        }
        assertThat(dir.resolve("out/model.safetensors.index.json")).content().contains("\"total_size\" : " + 8 * (37 * 21 + 35 + 11 + 2));
    }

    @Test
    void trimmingTheWholeModelKeepsOtherNumbersThanTrimmingEachTensor() throws IOException {
        Map<String, Tensor> zeros = Map.of("large", Tensor.of(Backends.cpu(), DType.F32, new double[10], 10),
                "small", Tensor.of(Backends.cpu(), DType.F32, new double[10], 10));
        double[] up = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        Map<String, Tensor> tuned = Map.of("large", Tensor.of(Backends.cpu(), DType.F32, up, 10),
                "small", Tensor.of(Backends.cpu(), DType.F32, Arrays.stream(up).map(x -> -x / 100).toArray(), 10));
        CheckpointMerge merge = merge(model("zeros", zeros), model("tuned", tuned));
        Combination ties = new Ties(0.2, Ties.Election.TOTAL, Ties.Form.WEIGHTED);
        merge.write(dir.resolve("each"), merge.taskVectors(ties, new double[] {1}, 1, false), Optional.empty(), 1 << 20, NOTHING);
        merge.write(dir.resolve("whole"), merge.taskVectors(ties, new double[] {1}, 1, true), Optional.empty(), 1 << 20, NOTHING);
        assertThat(values(dir.resolve("each"), "large")).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 9, 10);
        assertThat(values(dir.resolve("each"), "small")).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, -0.09f, -0.1f);
        assertThat(values(dir.resolve("whole"), "large")).containsExactly(0, 0, 0, 0, 0, 0, 7, 8, 9, 10);
        assertThat(values(dir.resolve("whole"), "small")).containsOnly(0);
    }

    @Test
    void modelsThatDoNotMatchAreRefusedByTheTensorsName() throws IOException {
        Path a = model("a", 1);
        Path reshaped = model("reshaped", Map.of("a.weight", noise(1, DType.F32, 21, 37), "b.weight", noise(2, DType.BF16, 5, 7),
                "c.weight", noise(3, DType.F16, 11), "steps", Tensor.of(Backends.cpu(), new long[] {3, 4}, 2)));
        Path fewer = model("fewer", Map.of("a.weight", noise(1, DType.F32, 37, 21)));
        assertThatThrownBy(() -> merge(a, reshaped)).isInstanceOf(AdapterException.class)
                .hasMessageContainingAll("a.weight", "[37, 21]", "[21, 37]", "reshaped");
        assertThatThrownBy(() -> merge(a, fewer)).hasMessageContainingAll("fewer has no tensor", "which a has");
        assertThatThrownBy(() -> merge(fewer, a)).hasMessageContainingAll("a has a tensor", "which fewer lacks");
        Path counted = model("counted", Map.of("a.weight", noise(1, DType.F32, 37, 21), "b.weight", noise(2, DType.BF16, 5, 7),
                "c.weight", noise(3, DType.F16, 11), "steps", Tensor.of(Backends.cpu(), new long[] {3, 5}, 2)));
        assertThatThrownBy(() -> merge(a, counted).write(dir.resolve("out"), (n, m) -> Soup.uniform(m), Optional.empty(), 1 << 20, NOTHING))
                .hasMessageContainingAll("steps", "counted");
        assertThat(dir.resolve("out")).doesNotExist();
    }

    @Test
    void whatFailsOnTheWayLeavesTheFolderAsItWas() throws IOException {
        CheckpointMerge merge = merge(model("a", 1), model("b", 2));
        Path out = Files.createDirectories(dir.resolve("out"));
        Files.writeString(out.resolve("config.json"), "old");
        SequencedMap<String, byte[]> config = new LinkedHashMap<>(Map.of("config.json", "new".getBytes(StandardCharsets.UTF_8)));
        CheckpointMerge.Rule broken = (n, m) -> {
            if (n.equals("b.weight")) {
                throw new IllegalStateException("half way");
            }
            return m.getFirst();
        };
        assertThatThrownBy(() -> merge.write(out, broken, Optional.empty(), 200, config)).hasMessage("half way");
        try (Stream<Path> files = Files.list(out)) {
            assertThat(files.map(f -> f.getFileName().toString())).containsExactly("config.json");
        }
        assertThat(out.resolve("config.json")).hasContent("old");
    }

    /** Merges, in a JVM of its own, models that are each larger than its memory. */
    static final class Program {
        private Program() {}

        public static void main(String[] args) throws IOException {
            Path dir = Path.of(args[0]);
            CheckpointMerge merge = merge(dir.resolve("base"), dir.resolve("x"), dir.resolve("y"));
            merge.write(dir.resolve("out"), merge.taskVectors(new Ties(0.2, Ties.Election.TOTAL, Ties.Form.WEIGHTED),
                    new double[] {1, 1}, 1, true), Optional.empty(), 30_000_000, NOTHING);
            System.out.println("native " + HostMemory.peakBytes());
        }
    }

    @Test
    void memoryDoesNotGrowWithTheModels() throws IOException, InterruptedException {
        int elements = 5_000_000;
        for (String name : List.of("base", "x", "y")) {
            ByteBuffer bytes = ByteBuffer.allocate(4 * elements).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < elements; i++) {
                bytes.putFloat((i * (long) name.hashCode() >>> 7 & 1023) / 512f - 1);
            }
            SequencedMap<String, SafeTensorsWriter.Streamed> t = new LinkedHashMap<>();
            for (String tensor : List.of("u", "v")) {
                t.put(tensor, new SafeTensorsWriter.Streamed(StoredType.F32, new long[] {elements},
                        AtomicFiles.Content.bytes(bytes.array())));
            }
            Path folder = Files.createDirectories(dir.resolve(name));
            AtomicFiles.write(folder.resolve(Checkpoint.SINGLE_FILE), SafeTensorsWriter.streamed(t, Map.of()));
        }
        // One tensor has 20 MB, a model 40, all three 120. The heap could not hold one tensor in doubles, nor two in floats.
        Process p = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx24m", "-XX:+UseSerialGC",
                "-XX:MaxDirectMemorySize=4m", "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
                "-cp", System.getProperty("java.class.path"), Program.class.getName(), dir.toString()).redirectErrorStream(true).start();
        String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(p.waitFor(120, TimeUnit.SECONDS)).isTrue();
        assertThat(p.exitValue()).as(said).isZero();
        assertThat(Long.parseLong(said.replaceAll("(?s).*native (\\d+).*", "$1"))).as("bytes of tensors outside the heap").isLessThan(1 << 20);
        assertThat(dir.resolve("out/model.safetensors.index.json")).exists();
        try (Checkpoint out = Checkpoint.open(dir.resolve("out"))) {
            assertThat(out.raw("v").elements()).isEqualTo(elements);
        }
    }
}
