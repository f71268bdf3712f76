package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Telling texts apart: reading them, training, going on after a stop, saving, measuring. */
class ClassificationTest {
    private static final List<String> LABELS = List.of("low", "high");
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(5e-3).withBatchSize(8).withMaxSteps(60)
            .withSaveEvery(0);

    @TempDir
    private Path folder;

    /** A pretrained encoder without a classifier: the head begins at random, differently for each seed. */
    private static SequenceClassifier model(long seed) {
        return Models.loadClassifier(Golden.folder("models").resolve("bert_mlm"), LABELS, seed, Backends.cpu(), DType.F32)
                .as(SequenceClassifier.class);
    }

    /** Texts of a few tokens between a first and a last one, of a few words for each class. */
    private static Dataset texts(int seed, int count) {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int category = Philox.nextInt(seed, 1, i, 2);
            int[] ids = new int[4 + Philox.nextInt(seed, 2, i, 5)];
            for (int t = 0; t < ids.length; t++) {
                ids[t] = (category == 0 ? 10 : 60) + Philox.nextInt(seed, 3 + i, t, 5);
            }
            ids[0] = 2;
            ids[ids.length - 1] = 3;
            out.add(Example.ofCategory(ids, new int[0], category));
        }
        return Dataset.of(out);
    }

    static Stream<TuningMethod> methods() {
        return Stream.of(Lora.DEFAULTS.withRank(4, 8), PrefixTuning.DEFAULTS.withTokens(3), PromptTuning.DEFAULTS.withTokens(3));
    }

    @Test
    void itLearns() {
        SequenceClassifier model = model(1);
        Adapter adapter = Adapters.create(model, "a", Lora.DEFAULTS.withRank(4, 8), 1);
        double before = Evaluation.accuracy(model, texts(5, 100), model.seams().inference()).share();
        TrainReport report = Trainer.run(adapter, texts(4, 200), OPTIONS);
        Evaluation.Score after = Evaluation.accuracy(model, texts(5, 100), model.seams().inference());
        assertThat(after.share()).as("losses %s", report.losses()).isGreaterThan(0.9).isGreaterThan(before + 0.2);
        assertThat(after.total()).isEqualTo(100);
    }

    @ParameterizedTest
    @MethodSource("methods")
    void theSavedAdapterCarriesTheWholeHead(TuningMethod method) {
        SequenceClassifier model = model(1);
        Adapter adapter = Adapters.create(model, "a", method, 1);
        Trainer.run(adapter, texts(4, 20), OPTIONS.withMaxSteps(3));
        adapter.save(folder);
        assertThat(AdapterFiles.labels(folder)).isEqualTo(LABELS);
        assertThat(folder.resolve("adapter_config.json")).content().contains("\"SEQ_CLS\"", "bert.pooler.dense", "classifier");

        // A head with another start: all of it that began at random is in the file.
        SequenceClassifier other = model(99);
        Adapters.load(other, "b", folder);
        // The trained model's weights lie in another order, whose sums differ in the last digit.
        assertThat(logits(other)).containsExactly(logits(model), within(1e-6));
    }

    private static double[] logits(SequenceClassifier m) {
        Batch b = Batch.of(List.of(texts(6, 1).get(0)), m.backend(), false);
        return Recording.off(() -> m.logits(m.forward(b.texts(), m.seams().inference()), m.seams().inference())).tensor().toDoubleArray();
    }

    @Test
    void aRunThatStopsGoesOnBitForBit() {
        TrainOptions options = OPTIONS.withMaxSteps(7).withSaveEvery(3).withGradientAccumulation(2);
        Adapter whole = Adapters.create(model(1), "a", Lora.DEFAULTS.withRank(4, 8), 1);
        TrainReport at = Trainer.run(whole, texts(4, 50), options, Optional.of(folder.resolve("whole")), false, TrainListener.NONE);

        Path run = folder.resolve("parts");
        Adapter stopped = Adapters.create(model(1), "a", Lora.DEFAULTS.withRank(4, 8), 1);
        TrainListener stop = new TrainListener() {
            @Override
            public void onStep(StepReport r) {
                if (r.step() == 5) {
                    throw new IllegalStateException("the plug is pulled");
                }
            }
        };
        assertThatThrownBy(() -> Trainer.run(stopped, texts(4, 50), options, Optional.of(run), false, stop)).hasMessageContaining("plug");
        Adapter again = Adapters.create(model(1), "a", Lora.DEFAULTS.withRank(4, 8), 1);
        TrainReport resumed = Trainer.run(again, texts(4, 50), options, Optional.of(run), true, TrainListener.NONE);
        assertThat(resumed.resumedAt()).isEqualTo(3);
        assertThat(resumed.losses()).isEqualTo(at.losses());
        whole.state().forEach((name, t) -> assertThat(again.state().get(name).toDoubleArray()).as(name).isEqualTo(t.toDoubleArray()));
        // The same texts under other classes are other data.
        List<Example> turned = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            Example e = texts(4, 50).get(i);
            turned.add(Example.ofCategory(e.ids(), e.tokenTypes(), 1 - e.category()));
        }
        assertThatThrownBy(() -> Trainer.run(again, Dataset.of(turned), options, Optional.of(run), true, TrainListener.NONE))
                .isInstanceOf(AdapterException.class).hasMessageContaining("data");
    }

    @Test
    void whatDoesNotFitIsRefused() {
        SequenceClassifier model = model(1);
        Adapter adapter = Adapters.create(model, "a", Lora.DEFAULTS, 1);
        Dataset third = Dataset.of(List.of(Example.ofCategory(new int[] {1, 2}, new int[0], 2)));
        assertThatThrownBy(() -> Trainer.run(adapter, third, OPTIONS)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("class 2").hasMessageContaining("2 classes");
        Adapter writer = Adapters.create(Models.embedded().model(), "a", Lora.DEFAULTS, 1);
        assertThatThrownBy(() -> Trainer.run(writer, texts(4, 3), OPTIONS)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("classifier");
        assertThatThrownBy(() -> Example.ofCategory(new int[] {1, 2}, new int[] {0}, 0)).hasMessageContaining("token types");
    }

    // ---- reading ----

    private static final String TOKENIZER = """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
              {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
              {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
             "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7}}}
            """;

    private Dataset read(String name, String text, List<String> labels, int maxLength) throws IOException {
        Path file = Files.writeString(folder.resolve(name), text);
        return Dataset.ofLabelled(LabelledTexts.read(file), Tokenizer.parse(TOKENIZER, "test"), labels, maxLength);
    }

    @Test
    void linesAreFramedAndCutWithinTheFrame() throws IOException {
        Dataset d = read("d.jsonl", """
                \uFEFF{"text": "a b", "label": "high", "more": 1}

                {"text": "a b c d", "text_pair": "b", "label": 0}
                """, LABELS, 6);
        assertThat(d.size()).isEqualTo(2);
        assertThat(d.cut()).isEqualTo(1);
        assertThat(d.get(0).ids()).containsExactly(2, 4, 5, 3);
        assertThat(d.get(0).category()).isEqualTo(1);
        assertThat(d.get(1).ids()).containsExactly(2, 4, 5, 3, 5, 3);
        assertThat(d.get(1).tokenTypes()).containsExactly(0, 0, 0, 0, 1, 1);
        assertThat(d.get(1).category()).isZero();
        assertThat(d.get(0).labels()).containsOnly(Example.IGNORED);
        assertThat(d.labelCount(false)).isEqualTo(2);
        // Cut once more to what a model has room for: the last token still ends the text.
        assertThat(d.cutTo(3).get(0).ids()).containsExactly(2, 4, 3);
        Batch b = Batch.of(List.of(d.get(0), d.get(1)), Backends.cpu(), false);
        assertThat(b.categories().toLongArray()).containsExactly(1, 0);
        assertThat(Arrays.copyOfRange(b.tokenTypes().toLongArray(), 6, 12)).containsExactly(0, 0, 0, 0, 1, 1);
    }

    @Test
    void tabsSeparateTextAndLabel() throws IOException {
        Dataset d = read("d.tsv", "a b\t0\nc\td\t1\n", List.of("no", "yes"), 0);
        assertThat(d.get(0).ids()).containsExactly(2, 4, 5, 3);
        assertThat(d.get(1).ids()).containsExactly(2, 6, 3, 7, 3);
        assertThat(d.get(1).category()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"b\\ta\\nb\\tc | a,c", "x\\t2\\ny\\t0 | 0,1,2", "x\\t10\\ny\\tz | 10,z"})
    void labelsAreCountedOrNamed(String text, String want) throws IOException {
        Path file = Files.writeString(folder.resolve("d.tsv"), text.replace("\\t", "\t").replace("\\n", "\n"));
        assertThat(LabelledTexts.read(file).labels()).containsExactly(want.split(","));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "d.tsv | only a text | line 1 | columns",
        "d.tsv | text\\t | line 1 | label",
        "d.tsv | text\\tmaybe | line 1 | 'maybe'",
        "d.tsv | text\\t7 | line 1 | '7'",
        "d.jsonl | {\"text\": \"a\"} | line 1 | label",
        "d.jsonl | {\"text\": \"a\", \"label\": 0.5} | line 1 | 0.5",
        "d.jsonl | {\"label\": 1} | line 1 | text",
        "d.jsonl | [1] | line 1 | object"})
    void whatCannotBeReadIsRefusedWithItsLine(String name, String text, String line, String says) {
        assertThatThrownBy(() -> read(name, text.replace("\\t", "\t"), LABELS, 0)).isInstanceOf(AdapterException.class)
                .hasMessageContainingAll(name, line, says);
    }

    @Test
    void anEmptyFileAndLabelsFarApartAreRefused() throws IOException {
        assertThatThrownBy(() -> read("d.tsv", "\n\n", LABELS, 0)).isInstanceOf(AdapterException.class).hasMessageContaining("no example");
        Path far = Files.writeString(folder.resolve("far.tsv"), "a\t0\nb\t5000000\n");
        assertThatThrownBy(() -> LabelledTexts.read(far).labels()).isInstanceOf(AdapterException.class).hasMessageContaining("5000000");
        assertThatThrownBy(() -> LabelledTexts.read(folder.resolve("none.tsv"))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("none.tsv");
    }
}
