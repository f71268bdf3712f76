package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.jotune.models.Models;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training over a model whose products are computed in BF16. */
class PrecisionTest {
    private static final List<String> TEXTS = List.of("Tom lost his blue hat at the lake.", "The rain sang a song to the old cat.",
            "A green bird read a book about soup.", "Mia painted the moon with jam.");
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(0.01).withMaxSteps(30).withBatchSize(4);

    @TempDir
    private Path folder;

    private static Adapter lora(Models.Loaded stories) {
        return Adapters.create(stories.model(), "default",
                Lora.DEFAULTS.withRank(4, 8).withTargets(Targets.matching(Targets.ALL_LINEAR)), 1);
    }

    private static TrainReport train(Precision precision) {
        Models.Loaded stories = Models.embedded().withPrecision(precision);
        Dataset data = Dataset.ofTexts(TEXTS, stories.requireTokenizer(), stories.generation(), 0);
        Adapter adapter = lora(stories);
        TrainReport report = Trainer.run(adapter, data, OPTIONS);
        assertThat(adapter.trainables().values()).allMatch(v -> v.tensor().dtype() == DType.F32);
        return report;
    }

    @Test
    void loraReachesInBf16WhatItReachesInF32() {
        TrainReport wide = train(Precision.F32);
        TrainReport narrow = train(Precision.BF16);
        assertThat(wide.lastLoss()).isLessThan(0.6 * wide.losses().getFirst());
        assertThat(narrow.losses().getFirst()).isCloseTo(wide.losses().getFirst(), withinPercentage(1));
        assertThat(narrow.lastLoss()).isCloseTo(wide.lastLoss(), withinPercentage(5));
    }

    @Test
    void aRunDoesNotGoOnInAnotherPrecision() {
        Models.Loaded stories = Models.embedded();
        Dataset data = Dataset.ofTexts(TEXTS, stories.requireTokenizer(), stories.generation(), 0);
        TrainOptions brief = OPTIONS.withMaxSteps(1);
        Trainer.run(lora(stories), data, brief, Optional.of(folder), false, TrainListener.NONE);
        Models.Loaded other = Models.embedded().withPrecision(Precision.BF16);
        assertThatThrownBy(() -> Trainer.run(lora(other), data, brief, Optional.of(folder), true, TrainListener.NONE))
                .isInstanceOf(AdapterException.class).hasMessageContaining("model");
    }
}
