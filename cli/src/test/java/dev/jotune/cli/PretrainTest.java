package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.models.Models;
import dev.jotune.models.seam.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jotune pretrain} at sizes that take a moment. */
class PretrainTest {
    private static final List<String> FILES = List.of("config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
            "tokenizer_config.json");

    @TempDir
    private Path dir;

    private static Jotune pretrain(Path out, Object... more) {
        return Jotune.run(Stream.concat(Stream.of("pretrain", "--out", out, "--hidden-size", 16, "--intermediate-size", 24,
                "--num-hidden-layers", 1, "--max-length", 24, "--batch-size", 4, "--warmup-steps", 2, "--vocab-size", 300),
                Arrays.stream(more)).toArray());
    }

    private static Path made(Path out, Object... more) {
        Jotune j = pretrain(out, more);
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(j.out()).contains("loss ", "saved " + out);
        return out;
    }

    private static Map<String, List<Byte>> bytes(Path folder) throws IOException {
        Map<String, List<Byte>> out = new TreeMap<>();
        for (String name : FILES) {
            byte[] all = Files.readAllBytes(folder.resolve(name));
            List<Byte> list = new ArrayList<>(all.length);
            for (byte b : all) {
                list.add(b);
            }
            out.put(name, list);
        }
        return out;
    }

    @Test
    void theFolderIsAModelForEveryOtherCommand() {
        Path model = made(dir.resolve("model"), "--max-steps", 3);
        Models.Loaded loaded = Models.load(model);
        assertThat(loaded.generation().bosTokenId()).isZero();
        assertThat(loaded.generation().eosTokenIds()).containsExactly(1);
        assertThat(loaded.model().contextLength()).isEqualTo(24);
        // Embedding, two norms and one more, four projections, three of the feed-forward layer.
        long expected = 300 * 16 + 3 * 16 + 4 * 16 * 16 + 3 * 16 * 24;
        assertThat(loaded.model().seams().parameters().values().stream().mapToLong(Parameter::numel).sum()).isEqualTo(expected);
        Path town = dir.resolve("town");
        assertThat(Jotune.run("pretrain", "--write-town", "--out", town).code()).isZero();
        assertThat(Jotune.run("generate", "--model", model, "--prompt", "Question:", "--max-new-tokens", 3).out()).startsWith("Question:");
        Path adapter = dir.resolve("adapter");
        Jotune tune = Jotune.run("tune", "--model", model, "--method", "lora", "--data", town.resolve("questions.jsonl"), "--out", adapter,
                "--max-steps", 1);
        assertThat(tune.code()).as(tune.err()).isZero();
        for (Object[] lm : new Object[][] {{}, {"--lm", "base + 1.0*(expert - base)", "--member", "expert=" + adapter}}) {
            Object[] eval = {"eval", "--model", model, "--task", "perplexity", "--data", town.resolve("test.jsonl")};
            Jotune j = Jotune.run(Stream.concat(Arrays.stream(eval), Arrays.stream(lm)).toArray());
            assertThat(j.out()).as(j.err()).startsWith("perplexity ").contains("240 examples");
        }
        assertThat(Jotune.run("pretrain", "--out", model).err()).contains("holds weights already");
    }

    @Test
    void theSameSeedGivesTheSameBytesAndAnotherDoesNot() throws IOException {
        Map<String, List<Byte>> one = bytes(made(dir.resolve("a"), "--max-steps", 3, "--seed", 7));
        assertThat(bytes(made(dir.resolve("b"), "--max-steps", 3, "--seed", 7))).isEqualTo(one);
        Map<String, List<Byte>> other = bytes(made(dir.resolve("c"), "--max-steps", 3, "--seed", 8));
        assertThat(other.get("model.safetensors")).isNotEqualTo(one.get("model.safetensors"));
        assertThat(other.get("tokenizer.json")).isEqualTo(one.get("tokenizer.json"));
    }

    @Test
    void aKilledRunGoesOnToTheSameBytes() throws IOException {
        Object[] run = {"--max-steps", 4, "--save-every", 2};
        Path whole = made(dir.resolve("whole"), run);
        Path killed = made(dir.resolve("killed"), run);
        // Killed after its third step: what it wrote at the end is not there, nor is its last checkpoint.
        for (String name : FILES) {
            Files.delete(killed.resolve(name));
        }
        List<Path> checkpoints;
        try (Stream<Path> files = Files.list(killed.resolve("checkpoints"))) {
            checkpoints = files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList();
        }
        assertThat(checkpoints.size()).isGreaterThan(1);
        Files.delete(checkpoints.getLast());
        Jotune again = pretrain(killed, run);
        assertThat(again.code()).isEqualTo(1);
        assertThat(again.err()).contains("holds step 2").contains("Resume it");
        Jotune resumed = pretrain(killed, Stream.concat(Arrays.stream(run), Stream.of("--resume")).toArray());
        assertThat(resumed.err()).as(resumed.err()).contains("goes on after step 2 of 4");
        assertThat(bytes(killed)).isEqualTo(bytes(whole));
        Jotune other = pretrain(killed, "--max-steps", 4, "--save-every", 2, "--resume", "--learning-rate", "0.5");
        assertThat(other.code()).isEqualTo(1);
        assertThat(other.err()).contains("learningRate was 0.003, now 0.5");
    }

    @Test
    void ownTextsAndTokenizerAreTaken() throws IOException {
        Path text = Files.writeString(dir.resolve("a.txt"), "The cat sat.\n\nThe dog sat.\n");
        Path model = made(dir.resolve("model"), "--data", text, "--max-steps", 1);
        assertThat(Models.load(model).requireTokenizer().vocabularySize()).isLessThan(300);
        Path other = made(dir.resolve("other"), "--data", text, "--max-steps", 1, "--tokenizer", model.resolve("tokenizer.json"), "--seed", 1);
        assertThat(Files.readString(other.resolve("tokenizer.json"))).isEqualTo(Files.readString(model.resolve("tokenizer.json")));
    }

    @Test
    void whatCannotBeIsRefusedBeforeAnythingIsWritten() throws IOException {
        Path none = Files.writeString(dir.resolve("none.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}}");
        Path out = dir.resolve("out");
        Object[][] wrong = {
            {"2", "'huge'", "--size", "huge"}, {"2", "--hidden-size is 10", "--hidden-size", 10},
            {"2", "--num-hidden-layers is 0", "--num-hidden-layers", 0},
            {"2", "does not divide", "--num-attention-heads", 4, "--num-key-value-heads", 3, "--hidden-size", 16},
            {"2", "--vocab-size: the vocabulary is to have 100", "--vocab-size", 100}, {"2", "--max-length is 1", "--max-length", 1},
            {"2", "learning rate", "--learning-rate", -1}, {"2", "--max-steps is 0", "--max-steps", 0}, {"2", "wavy", "--lr-scheduler-type", "wavy"},
            {"1", "there is no file", "--data", dir.resolve("missing.txt")}, {"1", "cannot read", "--tokenizer", dir.resolve("missing.json")},
            {"1", "no token <s>", "--tokenizer", none}};
        for (Object[] w : wrong) {
            Jotune j = Jotune.run(Stream.concat(Stream.of("pretrain", "--out", out), Arrays.stream(w).skip(2)).toArray());
            assertThat(j.code()).as(Arrays.toString(w) + j.err()).isEqualTo(Integer.parseInt(w[0].toString()));
            assertThat(j.err()).contains(w[1].toString());
            assertThat(j.err().lines().filter(l -> l.startsWith("jotune: "))).hasSize(1);
            assertThat(out).doesNotExist();
        }
    }

    @Test
    void theTownTestsOnlyWhatItsTextsNeverAnswer() {
        TownText town = new TownText(3);
        List<String> texts = town.texts();
        assertThat(new TownText(3).texts()).isEqualTo(texts);
        assertThat(new TownText(4).texts()).isNotEqualTo(texts);
        assertThat(town.questions()).hasSize(TownText.PEOPLE).allMatch(p -> texts.contains(p.prompt() + p.completion()), "answered now and then");
        assertThat(town.test()).hasSize(TownText.PEOPLE).noneMatch(p -> texts.contains(p.prompt() + p.completion()))
                .allMatch(p -> texts.stream().anyMatch(t -> t.startsWith(p.prompt())), "asked")
                .allMatch(p -> texts.contains(p.completion().strip()), "told");
    }
}
