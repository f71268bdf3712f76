package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoTest {
    @TempDir
    private Path dir;

    @Test
    void theMeasureCountsRunsOfMarksByTheirLast() {
        assertThat(Excitement.of(List.of("Oh! No. Why?", "Well... yes!? no?! \"Hi!\" he said"))).isEqualTo(new Excitement(3, 7));
        assertThat(Excitement.of(List.of("no end")).share()).isZero();
    }

    @Test
    void theBundledStoriesAreWhollyExcited() throws IOException {
        List<String> stories = new ArrayList<>();
        try (InputStream in = DemoCommand.class.getResourceAsStream("demo/stories.jsonl")) {
            for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
                stories.add(new ObjectMapper().readTree(line).get("text").textValue());
            }
        }
        assertThat(stories.size()).isGreaterThanOrEqualTo(300);
        assertThat(Excitement.of(stories).share()).isEqualTo(1);
    }

    @Test
    void aDemoOfTwoStepsWritesEverythingAndSaysThatItMissedItsTarget() throws IOException {
        Jotune j = Jotune.run("demo", "--max-steps", 2, "--out", dir.resolve("a folder"));
        assertThat(j.code()).as(j.err()).isEqualTo(1);
        assertThat(j.err()).contains("target was missed", "--max-steps");
        assertThat(j.out()).contains("before:", "after:", "tokens/s", "sentences ending with an exclamation mark");
        Path out = dir.resolve("a folder");
        assertThat(out.resolve("adapter_config.json")).content().contains("PREFIX_TUNING");
        assertThat(out.resolve("adapter_model.safetensors")).exists();
        String report = Files.readString(out.resolve("report.html"));
        assertThat(report).contains("<svg", "learning rate", "Once upon a time").doesNotContain("{{")
                .doesNotContainPattern("(src|href)=\"(https?:)?//");
    }

    @Test
    void aCurveIsDrawnWithoutFonts() {
        assertThat(LossChart.plain(List.of(2.0, 1.0, 1.5))).startsWith("<svg").contains("0.0,0.0", "loss 2.000 to 1.000").endsWith("</svg>");
    }

    @Test
    void reportsEscapeWhatAModelWrote() {
        assertThat(DemoReport.escape("<b> & \"c\"")).isEqualTo("&lt;b&gt; &amp; &quot;c&quot;");
    }
}
