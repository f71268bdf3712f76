package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The page of results that are given, and the page that is committed. */
class ComparisonPageTest {
    private static final Path DOCS = Path.of(System.getProperty("jotune.root"), "docs");
    private static final String RESULTS = """
            {"kind":"setting","model":"tiny","tasks":[{"name":"t","classes":2,"examples":90,"evaluated":100,"batchSize":4,"maxLength":9}],\
            "steps":7,"searchSteps":3,"rates":[0.001,0.01],"timedSteps":5,"reference":"lora","device":"a machine"}
            {"kind":"rate","task":"t","method":"mezo","rate":0.001,"loss":"NaN"}
            {"kind":"run","task":"t","method":"head","seed":1,"rate":0.01,"right":50,"total":100,"loss":0.7,"seconds":1.5,"file":2048}
            {"kind":"run","task":"t","method":"lora","seed":1,"rate":0.001,"right":80,"total":100,"loss":0.5,"seconds":2.5,"file":4096}
            {"kind":"run","task":"t","method":"lora","seed":2,"rate":0.001,"right":90,"total":100,"loss":0.4,"seconds":2.5,"file":4096}
            {"kind":"run","task":"t","method":"mezo","seed":1,"rate":0.001,"right":59,"total":100,"loss":0.7,"seconds":2.5,"file":4096}
            {"kind":"run","task":"t","method":"head-slow","seed":1,"rate":0.001,"right":40,"total":100,"loss":0.7,"seconds":1.5,"file":2048}
            {"kind":"cost","task":"t","method":"lora","own":1200,"trained":1300,"memory":3145728,"ratio":1.01,"low":0.99,"high":1.04,"seconds":0.25}
            {"kind":"refused","task":"t","method":"hyper","seed":1,"reason":"It cannot be."}
            """;
    private static final List<ComparedMethod> PLAN = List.of(ComparedMethod.of("lora"),
            new ComparedMethod("mezo", "--method lora --trainer mezo", List.of(1e-4), "Too few steps."));

    private static ComparisonSummary summary() {
        return new ComparisonSummary(ComparisonResults.of(RESULTS, "here"), PLAN);
    }

    @Test
    void everyNumberIsOfTheResults() {
        assertThat(ComparisonPage.text(summary())).contains("Model: tiny", "7 updates", "the best of 1e-3, 1e-2", "3 updates on seed 0", "a machine",
                "2 classes, 90 texts to learn from in batches of 4, at most 9 tokens of each; accuracy on 100 texts",
                "| `lora` | 85.0 | 80.0, 90.0 | 1e-3 | 1,200 | 1,300 | 1.01 (0.99 to 1.04) | 3 | 4 |",
                "| `head` | 50.0 | 50.0 | 1e-2 | ? | ? | ? | ? | 2 |", "A step of `lora` took 0.25 s",
                "| `mezo` | `--method lora --trainer mezo` | 1e-4 | Too few steps. |");
    }

    @Test
    void rowsThatAddNothingStayWithTheirReason() {
        String page = ComparisonPage.text(summary());
        // Two standard errors of 50 in 100 are 10 points.
        assertThat(page).contains("- `mezo` on t: 59.0 %, the head alone 50.0 %, and 40.0 % at this row's rate of 1e-3. Too few steps.")
                .doesNotContain("- `lora` on t", "- `head-slow`");
        assertThat(page).contains("| `hyper` | It cannot be. |", "**Not whole yet**");
        String task = "\"maxLength\":9},{\"name\":\"u\",\"classes\":2,\"examples\":9,\"evaluated\":9,\"batchSize\":4,\"maxLength\":9}]";
        String two = RESULTS.replace("\"maxLength\":9}]", task)
                + "{\"kind\":\"refused\",\"task\":\"u\",\"method\":\"lora\",\"seed\":1,\"reason\":\"Too few columns.\"}\n";
        assertThat(ComparisonPage.text(new ComparisonSummary(ComparisonResults.of(two, "here"), PLAN)))
                .contains("| `lora` on u | Too few columns. |", "| `hyper` | It cannot be. |");
        assertThat(page.indexOf("| `lora` | 85.0")).as("the best first").isLessThan(page.indexOf("| `mezo` | 59.0"));
    }

    @Test
    void theRegistrysCellSaysWhatWasMeasured() {
        assertThat(summary().measured("lora")).isEqualTo("t 85.0 %; step 1.01");
        assertThat(summary().measured("mezo")).isEqualTo("t 59.0 %");
        assertThat(summary().measured("hyper")).isEqualTo("not for this encoder");
        assertThat(summary().measured("dora")).isEqualTo("never measured");
    }

    @Test
    void seamsColourThePlot() {
        assertThat(summary().seam("lora")).isEqualTo("projection");
        assertThat(summary().seam("mezo")).isEqualTo("training step");
        assertThat(ComparisonPlot.svg(summary(), "t")).startsWith("<svg").endsWith("</svg>\n");
    }

    @Test
    void thePageInTheDocumentsIsThatOfTheResults() throws IOException {
        assertThat(Files.readString(DOCS.resolve("COMPARISON.md"))).as("docs/COMPARISON.md; bench/comparison/run.sh makes it")
                .isEqualTo(ComparisonPage.text(ComparisonSummary.bundled()));
        for (String task : ComparisonSummary.bundled().tasks()) {
            assertThat(DOCS.resolve(ComparisonPage.plot(task))).content().startsWith("<svg");
        }
    }
}
