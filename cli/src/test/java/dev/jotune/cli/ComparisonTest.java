package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Methods beside each other, from the command line. */
class ComparisonTest {
    @TempDir
    private Path dir;
    private Path model;
    private Path data;
    private Path out;

    @BeforeEach
    void make() throws IOException {
        model = TinyEncoder.model(dir.resolve("model"));
        data = TinyEncoder.data(dir.resolve("data.tsv"));
        out = dir.resolve("out");
    }

    private Jotune compare(Object... more) {
        Object[] first = {"compare", "--model", model, "--data", "words=" + data + "," + data, "--out", out, "--max-steps", 4,
            "--search-steps", 2, "--timed-steps", 2, "--eval-examples", 10, "--batch-size", 4};
        return Jotune.run(Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
    }

    private List<JsonNode> lines(String kind) throws IOException {
        List<JsonNode> found = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve("results.jsonl"))) {
            JsonNode n = new ObjectMapper().readTree(line);
            if (n.get("kind").textValue().equals(kind)) {
                found.add(n);
            }
        }
        return found;
    }

    @Test
    void trainsMeasuresAndWritesAPage() throws IOException {
        Path page = dir.resolve("page.md");
        Jotune j = compare("--methods", "head,lora,prefix,full,mezo,hyper", "--seeds", "1,2", "--rates", "1e-3,1e-2", "--page", page);
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(lines("run")).hasSize(5 * 2).allSatisfy(r -> {
            assertThat(r.get("total").intValue()).isEqualTo(10);
            assertThat(r.get("file").longValue()).isPositive();
            assertThat(r.get("loss").doubleValue()).isPositive();
        });
        assertThat(lines("rate")).as("two rates for each that trains").hasSize(5 * 2);
        assertThat(lines("cost")).hasSize(5).allSatisfy(c -> assertThat(c.get("ratio").doubleValue()).isPositive());
        assertThat(lines("refused")).hasSize(2).allSatisfy(r -> assertThat(r.get("reason").textValue()).contains("HyperTuning"));
        JsonNode head = lines("cost").getFirst();
        JsonNode lora = lines("cost").get(1);
        assertThat(head.get("own").longValue()).isZero();
        assertThat(lora.get("own").longValue()).isEqualTo(lora.get("trained").longValue() - head.get("trained").longValue()).isPositive();
        assertThat(lines("cost").get(3).get("memory").longValue()).as("whole weights, their gradients and moments")
                .isGreaterThan(lora.get("memory").longValue());
        assertThat(Files.readString(page)).contains("## words", "2 classes, 40 texts", "| `lora` |", "| `hyper` | HyperTuning needs",
                "| `ties` | It combines", "comparison-words.svg");
        assertThat(Files.readString(dir.resolve("comparison-words.svg"))).startsWith("<svg");
    }

    @Test
    void whatIsDoneIsNotDoneAgainAndWhatWasCutOffIs() throws IOException {
        Object[] rows = {"--methods", "head,lora", "--rates", "1e-2", "--seeds", "1"};
        assertThat(compare(rows).code()).isZero();
        Path results = out.resolve("results.jsonl");
        String whole = Files.readString(results);
        assertThat(compare(rows).code()).isZero();
        assertThat(Files.readString(results)).isEqualTo(whole);

        // Killed while the second run's line was written.
        int second = whole.lastIndexOf("\"kind\":\"run\"");
        Files.writeString(results, whole.substring(0, second + 40));
        assertThat(compare(rows).code()).isZero();
        List<String> accuracies = lines("run").stream().map(r -> r.get("method") + " " + r.get("right") + " " + r.get("loss")).toList();
        Files.writeString(results, whole);
        assertThat(accuracies).isEqualTo(lines("run").stream().map(r -> r.get("method") + " " + r.get("right") + " " + r.get("loss")).toList());
    }

    @Test
    void whatCannotBeComparedIsRefusedInAWord() throws IOException {
        assertThat(compare("--methods", "lora,lara").err()).contains("no row 'lara'", "lora, dora");
        assertThat(compare("--reference", "nothing").err()).contains("no row 'nothing'");
        assertThat(compare("--rates", "0").err()).contains("--rates", "above 0");
        assertThat(compare("--max-length", "8,8").err()).contains("--max-length is [8, 8]", "each of the 1 tasks");
        assertThat(Jotune.run("compare", "--model", model, "--data", "words=" + data, "--out", out).err()).contains("two files");
        assertThat(Jotune.run("compare", "--model", model, "--data", "words=" + data + "," + dir.resolve("none.tsv"), "--out", out).err())
                .contains("there is no file");
        assertThat(out).as("nothing is begun").doesNotExist();

        Path plan = Files.writeString(dir.resolve("plan.json"), "[{\"name\": \"a\", \"options\": \"--method lora --q 3\"}]");
        Jotune wrong = compare("--plan", plan, "--methods", "a", "--reference", "a");
        assertThat(wrong.code()).isEqualTo(2);
        assertThat(wrong.err()).contains("the row 'a'", "--q");
        Files.writeString(plan, "[{\"name\": \"a\"}]");
        assertThat(compare("--plan", plan).err()).contains("plan.json", "\"options\"");
        Files.writeString(plan, "[{");
        assertThat(compare("--plan", plan).err()).contains("plan.json", "not valid JSON");
        assertThat(compare("--page-only", "--page", dir.resolve("page.md")).err()).contains("nothing has been compared");
    }

    @Test
    void resultsOfAnotherBudgetAreNotMixed() throws IOException {
        Object[] rows = {"--methods", "head", "--rates", "1e-2", "--seeds", "1"};
        assertThat(compare(rows).code()).isZero();
        String before = Files.readString(out.resolve("results.jsonl"));
        Jotune other = compare("--methods", "head", "--rates", "2e-2", "--seeds", "1");
        assertThat(other.code()).isEqualTo(2);
        assertThat(other.err()).contains("another comparison", "another --out");
        assertThat(Files.readString(out.resolve("results.jsonl"))).isEqualTo(before);
        Files.writeString(out.resolve("results.jsonl"), before + "{\"kind\": \"run\"\n");
        assertThat(compare(rows).err()).contains("line " + (before.lines().count() + 1), "no line of a comparison");
    }

    @Test
    void thePlanHasARowForEveryMethodAndEveryRowSaysWhatTuneTakes() {
        List<ComparedMethod> plan = ComparisonPlan.bundled();
        assertThat(plan).extracting(ComparedMethod::name).containsAll(Methods.all().stream().map(MethodInfo::name).toList())
                .contains("mezo", "lisa", "gmt", "bbt", ComparisonSummary.BASELINE);
        ComparedMethod.Places places = new ComparedMethod.Places(List.of("classifier"), List.of(2, 3));
        assertThat(plan).allSatisfy(m -> {
            ComparedMethod.Chosen chosen = m.choose(12, places);
            assertThat(chosen.method().peftType()).isNotBlank();
            assertThat(chosen.step(1).name()).isNotBlank();
        });
    }

    @Test
    void quartilesLieBetweenValues() {
        double[] sorted = {1, 2, 3, 5};
        assertThat(StepCost.quantile(sorted, 0.5)).isEqualTo(2.5);
        assertThat(StepCost.quantile(sorted, 0.25)).isCloseTo(1.75, within(1e-12));
        assertThat(StepCost.quantile(sorted, 1)).isEqualTo(5);
    }
}
