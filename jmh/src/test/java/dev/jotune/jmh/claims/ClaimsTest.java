package dev.jotune.jmh.claims;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** That every experiment still runs, at a size at which its numbers mean nothing; and that the page is that of the results. */
class ClaimsTest {
    private static final Path ROOT = Path.of(System.getProperty("jotune.root"));

    @TempDir
    private static Path folder;

    /** The golden BERT under the encoder's name, and a few lines of every file of data. */
    @BeforeAll
    static void write() throws IOException {
        Path encoder = Files.createDirectories(folder.resolve("models").resolve("all-minilm-l6-v2"));
        for (String f : List.of("config.json", "model.safetensors")) {
            Files.copy(Path.of(System.getProperty("jotune.golden"), "models", "bert_mlm", f), encoder.resolve(f));
        }
        StringBuilder words = new StringBuilder();
        IntStream.range(4, 101).forEach(i -> words.append(", \"w").append(i).append("\": ").append(i));
        Files.writeString(encoder.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                 "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
                 "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                 "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3%s}}}
                """.formatted(words));
        for (String f : List.of("train.tsv", "dev.tsv")) {
            lines("sst2", f, IntStream.range(0, 12).mapToObj(i -> "w1%d w6%d\t%d".formatted(i % 7, i % 5, i % 2)));
        }
        lines("gsm8k", "train.jsonl", IntStream.range(0, 40).mapToObj(i -> "{\"question\": \"Ann has %d sheep and %d goats. How many are that?\"}"
                .formatted(i, i + 1)));
        lines("e2e_nlg", "devset.csv", IntStream.range(0, 40).mapToObj(i -> "\"name[Inn %d]\",\"The Inn %d is a cheap pub by the river.\""
                .formatted(i, i)));
        lines("tinyshakespeare", "input.txt", IntStream.range(0, 40).mapToObj(i -> "FIRST:\nHark, the %d hours are gone.\n".formatted(i)));
    }

    private static void lines(String set, String file, Stream<String> lines) throws IOException {
        Files.write(Files.createDirectories(folder.resolve("data").resolve(set)).resolve(file), lines.toList());
    }

    @TestFactory
    Stream<DynamicTest> everyExperimentRuns() {
        return Run.CLAIMS.stream().map(Claim::tiny).map(c -> DynamicTest.dynamicTest(c.id(), () -> {
            Path file = folder.resolve(c.id() + ".jsonl");
            Results results = Results.open(file);
            results.begin(c, 1);
            c.run(new Claim.Places(folder.resolve("models"), folder.resolve("data")), results);
            assertThat(c.findings(results.of(c))).isNotEmpty();
            assertThat(c.tables(results.of(c))).allSatisfy(t -> assertThat(t.rows()).isNotEmpty()
                    .allSatisfy(row -> assertThat(row).hasSameSizeAs(t.head())));
            // What was written reads as what was measured.
            assertThat(Page.text(List.of(c), Results.open(file))).isEqualTo(Page.text(List.of(c), results)).contains(c.method());
        }));
    }

    @Test
    void testsThatAreNamedAreThere() throws IOException {
        try (Stream<Path> files = Files.walk(ROOT)) {
            List<String> tests = files.filter(f -> f.toString().contains("src/test")).map(f -> f.getFileName().toString()).toList();
            assertThat(Run.CLAIMS).allSatisfy(c -> assertThat(tests).contains(c.test() + ".java"));
        }
    }

    @Test
    void sharedPromptsAreCountedAsTheFormulaSays() {
        Results results = Results.inMemory();
        Claim c = PrefixSharing.FULL.tiny();
        results.begin(c, 1);
        c.run(new Claim.Places(folder, folder), results);
        assertThat(c.findings(results.of(c)).stream().skip(1)).hasSize(2).allSatisfy(f -> assertThat(f.reached()).as(f.toString()).isTrue());
    }

    @Test
    void sharedKeysAreStoredOnceAndGiveTheSame() {
        Results results = Results.inMemory();
        Claim c = Hydragen.FULL.tiny();
        results.begin(c, 1);
        c.run(new Claim.Places(folder, folder), results);
        assertThat(c.findings(results.of(c)).stream().limit(2)).allSatisfy(f -> assertThat(f.reached()).as(f.toString()).isTrue());
    }

    @Test
    void aFurtherLaunchAddsToTheFirstAndAFirstBeginsAnew() {
        Path file = folder.resolve("launches.jsonl");
        for (int launch : new int[] {1, 2, 3}) {
            Results r = Results.open(file);
            r.begin(Hydragen.FULL, launch);
            r.add("ratio", 1.0 * launch);
        }
        assertThat(Results.open(file).of(Hydragen.FULL)).hasSize(3);
        Results again = Results.open(file);
        again.begin(Hydragen.FULL, 1);
        assertThat(again.of(Hydragen.FULL)).isEmpty();
        assertThat(Results.open(file).circumstances(Hydragen.FULL)).hasSize(1);
    }

    @Test
    void spreadsAreThoseOfASample() {
        assertThat(Numbers.deviation(1, 2, 3, 4)).isCloseTo(Math.sqrt(5 / 3.0), within(1e-12));
        assertThat(Numbers.median(4, 1, 3, 2)).isEqualTo(2.5);
        assertThat(Numbers.quantile(0.25, 1, 2, 3, 4, 5)).isEqualTo(2);
    }

    @Test
    void thePageIsThatOfTheResults() throws IOException {
        assertThat(Files.readString(ROOT.resolve("docs").resolve("CLAIMS.md"))).as("docs/CLAIMS.md; bench/claims/run.sh makes it")
                .isEqualTo(Page.text(Run.CLAIMS, committed()));
    }

    private static Results committed() {
        return Results.open(ROOT.resolve("bench").resolve("claims").resolve("results.jsonl"));
    }

    @Test
    void theCellsOfTheRegistrysPageAreThoseOfTheResults() throws IOException {
        assertThat(ROOT.resolve("cli/src/main/resources/dev/jotune/cli/claims.jsonl")).as("bench/claims/run.sh makes it")
                .hasContent(Page.cells(Run.CLAIMS, committed()));
        String page = Files.readString(ROOT.resolve("docs").resolve("CLAIMS.md"));
        assertThat(Run.CLAIMS).allSatisfy(c -> assertThat(page).contains("## " + c.id() + ": " + c.method() + "\n"));
    }
}
