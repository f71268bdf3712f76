package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.models.Models;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Training on an OpenCL device: the losses of the CPU, and adapters that load on either. */
class OpenClTrainingTest {
    private static final double TOLERANCE = 1e-4;
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(0.01).withMaxSteps(4).withBatchSize(2).withMaxLength(24)
            .withWarmupSteps(0).withSaveEvery(0).withSeed(3);

    @TempDir
    private Path dir;

    static List<TuningMethod> methods() {
        return List.of(Lora.DEFAULTS.withRank(4, 8), new PrefixTuning(4, true, Optional.empty(), Optional.empty(), List.of()));
    }

    private static Backend device() {
        Optional<Backend> device = Backends.all().stream().filter(b -> b.name().startsWith("opencl:")).findFirst();
        if (Boolean.getBoolean("jotune.opencl.required")) {
            assertThat(device).as("an OpenCL device, promised by -Djotune.opencl.required").isPresent();
        }
        assumeTrue(device.isPresent(), "there is no OpenCL device");
        return device.get();
    }

    private Dataset data(Models.Loaded model) throws IOException {
        Path file = dir.resolve("stories.jsonl");
        if (!Files.exists(file)) {
            try (InputStream in = DemoCommand.class.getResourceAsStream("demo/stories.jsonl")) {
                Files.copy(in, file);
            }
        }
        return Dataset.readJsonl(file, model.requireTokenizer(), model.generation(), OPTIONS.maxLength());
    }

    /** The losses of a run on {@code backend}; the adapter is saved. */
    private List<Double> train(Backend backend, TuningMethod method, Path to) throws IOException {
        try (Scope scope = Scope.open()) {
            Models.Loaded model = Models.embedded(backend, DType.F32);
            Adapter adapter = Adapters.create(model.model(), Adapters.DEFAULT_NAME, method, 1).basedOn(model.name());
            List<Double> losses = Trainer.run(adapter, data(model), OPTIONS).losses();
            adapter.save(to);
            return losses;
        }
    }

    /** The loss of a saved adapter on {@code backend}. */
    private double loss(Backend backend, Path from) throws IOException {
        try (Scope scope = Scope.open()) {
            Models.Loaded model = Models.embedded(backend, DType.F32);
            Adapter adapter = Adapters.load(model.model(), Adapters.DEFAULT_NAME, from);
            return Trainer.run(adapter, data(model), OPTIONS.withMaxSteps(1)).losses().getFirst();
        }
    }

    @ParameterizedTest
    @MethodSource("methods")
    void theLossesAreTheCpusAndAdaptersLoadEitherWay(TuningMethod method) throws IOException {
        Backend device = device();
        List<Double> there = train(device, method, dir.resolve("there"));
        List<Double> here = train(Backends.cpu(), method, dir.resolve("here"));
        assertThat(there).hasSameSizeAs(here);
        for (int i = 0; i < here.size(); i++) {
            assertThat(there.get(i)).as("step " + i).isCloseTo(here.get(i), within(TOLERANCE));
        }
        assertThat(here.getLast()).isNotEqualTo(here.getFirst());
        double fromDevice = loss(Backends.cpu(), dir.resolve("there"));
        double fromHost = loss(device, dir.resolve("here"));
        assertThat(fromDevice).isCloseTo(fromHost, within(TOLERANCE)).isNotEqualTo(here.getFirst());
    }
}
