package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures and sounds from a file to a label, on the golden cases' little models. */
class ClassifyTest {
    @TempDir
    private Path dir;

    private static Golden.Case golden(String id) {
        return Golden.cases("models", id).findFirst().orElseThrow();
    }

    /** A model's folder with a preprocessor_config.json for its own size of pictures. */
    private Path model(String id, String preprocessor) throws IOException {
        Path folder = Files.createDirectories(dir.resolve(id));
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(golden(id).file(name), folder.resolve(name));
        }
        Files.writeString(folder.resolve("preprocessor_config.json"), preprocessor);
        return folder;
    }

    private static Path picture() {
        return golden("image_preprocessing").file("image_0.png");
    }

    private static Jotune classify(Object... args) {
        Object[] all = new Object[args.length + 1];
        all[0] = "classify";
        System.arraycopy(args, 0, all, 1, args.length);
        return Jotune.run(all);
    }

    private static List<Double> probabilities(Jotune j) {
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(j.out().lines()).allMatch(l -> l.matches("[01]\\.\\d{4}  .+"));
        List<Double> p = j.out().lines().map(l -> Double.valueOf(l.substring(0, 6))).toList();
        assertThat(p).isSortedAccordingTo((a, b) -> Double.compare(b, a));
        return p;
    }

    @Test
    void aPictureGetsTheLabelsOfTheModel() throws IOException {
        JsonNode config = Golden.json(golden("vit").file("config.json"));
        Path m = model("vit", "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": " + config.get("image_size") + "}");
        int labels = config.get("id2label").size();
        List<Double> all = probabilities(classify(picture(), "--model", m, "--top", labels));
        assertThat(all).hasSize(labels);
        assertThat(all.stream().mapToDouble(p -> p).sum()).isBetween(0.999, 1.001);
        Jotune best = classify(picture(), "--model", m, "--top", 1);
        assertThat(probabilities(best)).containsExactly(all.getFirst());
        assertThat(best.out().strip()).endsWith(config.get("id2label").get(best.out().replaceAll("(?s).*_(\\d+).*", "$1")).asText());
        assertThat(classify(picture(), "--model", m, "--labels", "a,b").err()).contains("--labels are for CLIP");
    }

    @Test
    void aPictureIsMatchedWithTexts() throws IOException {
        JsonNode config = Golden.json(golden("clip").file("config.json"));
        JsonNode size = config.at("/vision_config/image_size");
        Path m = model("clip", "{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": " + size + ", \"crop_size\": " + size + "}");
        assertThat(classify(picture(), "--model", m, "--labels", "cat,dog").err()).contains("tokenizer.json");
        int end = config.at("/text_config/eos_token_id").asInt();
        Files.writeString(m.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                 "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
                 "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "<end>", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<end>": {"id": "<end>", "ids": [%d], "tokens": ["<end>"]}}},
                 "model": {"type": "WordLevel", "vocab": {"cat": 3, "dog": 4, "<unk>": 5, "<end>": %d}, "unk_token": "<unk>"}}
                """.formatted(end, end));
        Jotune j = classify(picture(), "--model", m, "--labels", "cat,dog,cat dog");
        List<Double> p = probabilities(j);
        assertThat(p).hasSize(3);
        assertThat(p.stream().mapToDouble(v -> v).sum()).isBetween(0.999, 1.001);
        assertThat(j.out()).contains("  cat\n", "  dog\n", "  cat dog\n");
        assertThat(classify(picture(), "--model", m).err()).contains("--labels");
    }

    @Test
    void aSoundGetsTheLabelsOfTheModel() throws IOException {
        Path m = model("ast", Files.readString(golden("ast").file("preprocessor_config.json")));
        Path good = sound("good.wav", 16000);
        assertThat(probabilities(classify(good, "--model", m, "--top", 2))).hasSize(2);
        Jotune other = classify(sound("other.wav", 8000), "--model", m);
        assertThat(other.code()).isEqualTo(1);
        assertThat(other.err()).contains("8000 samples a second", "16000");
    }

    private Path sound(String name, int rate) throws IOException {
        byte[] data = new byte[8000];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (40 * Math.sin(i));
        }
        Path file = dir.resolve(name);
        AudioSystem.write(new AudioInputStream(new ByteArrayInputStream(data), new AudioFormat(rate, 16, 1, true, false), data.length / 2),
                AudioFileFormat.Type.WAVE, file.toFile());
        return file;
    }

    @Test
    void modelsThatReadTextsAreRefused() {
        Jotune j = classify(picture(), "--model", "stories260k");
        assertThat(j.code()).isEqualTo(1);
        assertThat(j.err()).contains("llama", "neither pictures nor sounds");
    }
}
