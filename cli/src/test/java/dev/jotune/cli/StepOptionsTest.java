package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Objectives and trainers from the command line. */
class StepOptionsTest {
    @TempDir
    private Path dir;
    private Path pairs;
    private Path texts;

    @BeforeEach
    void writeData() throws IOException {
        pairs = Files.writeString(dir.resolve("pairs.jsonl"), """
                {"prompt": "Once upon a time there was a", "chosen": " happy dog!", "rejected": " sad cat."}
                {"prompt": "Lily had a", "chosen": " ball!", "rejected": " stone in her hand."}
                """);
        texts = Files.writeString(dir.resolve("texts.jsonl"), """
                {"prompt": "Tom said", "completion": " hello!"}
                {"prompt": "Lily", "completion": " was happy!"}
                """);
    }

    private Jotune tune(String method, Path data, Path out, Object... more) {
        Object[] first = {"tune", "--model", "stories260k", "--method", method, "--data", data, "--out", out, "--learning-rate", "0.001",
            "--batch-size", "2"};
        return Jotune.run(Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
    }

    @ParameterizedTest
    @ValueSource(strings = {"dpo", "robust-dpo", "hinge", "ipo", "orpo", "simpo", "cpo"})
    void preferencesAreLearntFromPairs(String objective) {
        Path out = dir.resolve("out");
        Jotune j = tune("lora", pairs, out, "--objective", objective, "--max-steps", 2);
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(j.err()).contains("2 examples");
        assertThat(out.resolve("adapter_model.safetensors")).exists();
    }

    /** LoRA starts as its reference, so DPO's first loss is that of not knowing: log 2. */
    @Test
    void rowsOfTheirOwnGiveTheSameLosses() {
        String shared = tune("lora", pairs, dir.resolve("a"), "--objective", "dpo", "--max-steps", 3).out();
        String separate = tune("lora", pairs, dir.resolve("b"), "--objective", "dpo", "--max-steps", 3, "--separate-rows").out();
        assertThat(shared).startsWith("loss 0.6931 -> ");
        assertThat(separate.split(" in ")[0]).isEqualTo(shared.split(" in ")[0]);
    }

    @ParameterizedTest
    @CsvSource({"asft, gradients, lora", "dft, mezo, lora", "sft-kl, gmt, prefix", "cross-entropy, lisa, full", "cross-entropy, 'lisa,gmt', full",
            "grpo, gradients, lora", "cross-entropy, bbt, prefix"})
    void everythingElseIsLearntFromTextsAndGoesOnBitForBit(String objective, String trainer, String method) throws IOException {
        Object[] how = {"--objective", objective, "--trainer", trainer, "--answers", 2, "--answer-tokens", 4, "--lisa-interval", 1,
            "--bbt-parts", 5, "--bbt-dimensions", 4, "--bbt-population", 4,
            "--save-every", 1, "--max-steps", 3};
        Jotune whole = tune(method, texts, dir.resolve("whole"), how);
        assertThat(whole.code()).as(whole.err()).isZero();
        Path half = dir.resolve("half");
        Files.createDirectories(half.resolve("checkpoints"));
        // What is left of a run that was killed after two steps of three.
        Path two = dir.resolve("whole/checkpoints/" + name(2));
        Files.copy(two, half.resolve("checkpoints").resolve(two.getFileName()));
        Jotune rest = tune(method, texts, half, Stream.concat(Arrays.stream(how), Stream.of("--resume")).toArray());
        assertThat(rest.code()).as(rest.err()).isZero();
        assertThat(half.resolve("adapter_model.safetensors")).hasSameBinaryContentAs(dir.resolve("whole/adapter_model.safetensors"));
    }

    private String name(int step) throws IOException {
        try (Stream<Path> files = Files.list(dir.resolve("whole/checkpoints"))) {
            return files.map(f -> f.getFileName().toString()).filter(f -> f.matches("run-0*" + step + "\\.safetensors")).findFirst().orElseThrow();
        }
    }

    @ParameterizedTest
    @CsvSource({"--objective, dpp, no objective 'dpp'", "--trainer, sgd, no trainer 'sgd'", "--preference-beta, 0, beta is 0.0",
            "--trainer, 'mezo,gmt', different ways down", "--trainer, 'bbt,lisa', same blocks", "--trainer, 'lisa,mezo', same numbers"})
    void whatThereIsNotIsRefused(String option, String value, String says) {
        Jotune j = option.equals("--preference-beta") ? tune("lora", pairs, dir.resolve("out"), "--objective", "dpo", option, value)
                : tune("lora", texts, dir.resolve("out"), option, value);
        assertThat(j.code()).isEqualTo(2);
        assertThat(j.err()).contains(says);
    }

    @Test
    void dataOfTheWrongKindAreRefused() {
        Jotune j = tune("lora", texts, dir.resolve("out"), "--objective", "dpo");
        assertThat(j.code()).isNotZero();
        assertThat(j.err()).contains("texts.jsonl, line 1").contains("\"chosen\" is missing");
        Jotune rule = tune("lora", texts, dir.resolve("out"), "--objective", "grpo", "--reward", "best");
        assertThat(rule.code()).isEqualTo(2);
        assertThat(rule.err()).contains("no rule 'best'").contains("exact-match, starts-with, contains");
    }
}
