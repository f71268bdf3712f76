package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.train.Evaluation.Choice;
import dev.jotune.peft.train.Evaluation.Pair;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Measures against sums over the model's own log-probabilities. */
class EvaluationTest {
    private static Models.Loaded stories;

    @TempDir
    private Path folder;

    @BeforeAll
    static void load() {
        stories = Models.embedded(Backends.cpu(), DType.F32);
    }

    /** {@code [T][V]}: log-probabilities of the token after each. */
    private static double[][] logProbabilities(CausalLm model, int[] ids) {
        long[] wide = Arrays.stream(ids).asLongStream().toArray();
        Pass pass = model.seams().inference();
        Tensor t = Recording.off(() -> Softmax.logSoftmax(model.logits(model.forward(
                DecoderInput.of(Tensor.of(model.backend(), wide, 1, wide.length)), pass, Optional.empty()).text(),
                pass))).tensor();
        double[] flat = t.toDoubleArray();
        int v = model.vocabularySize();
        double[][] rows = new double[ids.length][];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = Arrays.copyOfRange(flat, i * v, (i + 1) * v);
        }
        return rows;
    }

    @Test
    void perplexityCountsEveryLabelOnce() {
        for (String method : new String[] {"bare", "prefix", "prompt"}) {
            CausalLm model = TinyModel.make(Backends.reference(), DType.F64);
            if (!method.equals("bare")) {
                Adapters.create(model, method, TinyModel.method(method), 2);
            }
            // More than one batch, so that batches of different weight meet.
            Dataset data = TinyModel.texts(11);
            double sum = 0;
            long count = 0;
            for (int i = 0; i < data.size(); i++) {
                Example e = data.get(i);
                double[][] p = logProbabilities(model, e.ids());
                for (int t = 1; t < e.length(); t++) {
                    if (e.labels()[t] != Example.IGNORED) {
                        sum -= p[t - 1][e.labels()[t]];
                        count++;
                    }
                }
            }
            Evaluation.Perplexity got = Evaluation.perplexity(model, data, model.seams().inference());
            assertThat(got.tokens()).isEqualTo(count);
            assertThat(got.negativeLogLikelihood()).as(method).isCloseTo(sum / count, within(1e-9));
            assertThat(got.value()).isCloseTo(Math.exp(sum / count), within(1e-6));
            assertThat(got.cut()).isZero();
            Evaluation.Perplexity any = Evaluation.perplexity(new CausalLanguageModel(model, model.seams().inference()), data);
            assertThat(any.tokens()).isEqualTo(count);
            // Its logits are F32.
            assertThat(any.negativeLogLikelihood()).as(method).isCloseTo(sum / count, within(1e-6));
        }
    }

    @Test
    void whatDoesNotFitIsCutAndNothingToPredictIsRefused() {
        CausalLm model = TinyModel.make(Backends.cpu(), DType.F32);
        Dataset wide = Dataset.of(List.of(new Example(new int[40], new int[40])));
        assertThat(Evaluation.perplexity(model, wide, model.seams().inference()).cut()).isEqualTo(1);
        Dataset silent = Dataset.of(List.of(new Example(new int[] {1}, new int[] {1})));
        assertThatThrownBy(() -> Evaluation.perplexity(model, silent, model.seams().inference()))
                .isInstanceOf(AdapterException.class).hasMessageContaining("none of the 1 examples");
        CausalLanguageModel any = new CausalLanguageModel(model, model.seams().inference());
        assertThat(Evaluation.perplexity(any, wide).cut()).isEqualTo(1);
        assertThatThrownBy(() -> Evaluation.perplexity(any, silent)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("none of the 1 examples");
    }

    @Test
    void theModelsOwnGreedyTextIsAnExactMatchAndNothingElseIs() {
        CausalLm model = stories.model();
        String prompt = "Once upon a time, there was a little girl named";
        int[] ids = stories.requireTokenizer().encode(prompt, true).ids();
        Generation greedy = new Generator(new CausalLanguageModel(model, model.seams().inference()),
                SamplingOptions.greedy(3))
                .generate(ids);
        // The third token ends the text, so that the model stops by itself.
        int end = greedy.tokens()[2];
        GenerationDefaults special = new GenerationDefaults(1, new int[] {end}, -1);
        assertThat(Arrays.copyOf(greedy.tokens(), 2)).doesNotContain(end);
        String written = stories.requireTokenizer().decode(Arrays.copyOf(greedy.tokens(), 2), true).strip();
        List<Pair> pairs = List.of(new Pair(prompt, " " + written + "\n"), new Pair(prompt, written + " and Tom"),
                new Pair(prompt, written.substring(1)));
        Evaluation.Score score = Evaluation.exactMatch(model, stories.requireTokenizer(), special,
                model.seams().inference(), pairs);
        assertThat(score).isEqualTo(new Evaluation.Score(1, 3));
        assertThat(score.share()).isCloseTo(1 / 3.0, within(1e-12));
    }

    @Test
    void theLikeliestChoiceIsThatOfTheHighestMeanLogProbability() {
        CausalLm model = stories.model();
        List<String> choices = List.of(" little girl named Lily.", " of the",
                " was very happy and played with her friend.", " zzq");
        for (String prompt : List.of("Once upon a time, there was a", "The sun was", "She")) {
            double[] means = new double[choices.size()];
            for (int i = 0; i < means.length; i++) {
                int[] ids = stories.requireTokenizer().encode(prompt + choices.get(i), true).ids();
                int from = stories.requireTokenizer().encode(prompt, true).ids().length;
                double[][] p = logProbabilities(model, ids);
                for (int t = from; t < ids.length; t++) {
                    means[i] += p[t - 1][ids[t]] / (ids.length - from);
                }
            }
            int best = 0;
            for (int i = 1; i < means.length; i++) {
                best = means[i] > means[best] ? i : best;
            }
            for (int answer : new int[] {best, (best + 1) % means.length}) {
                assertThat(Evaluation.choiceAccuracy(model, stories.requireTokenizer(), stories.generation(),
                        model.seams().inference(), List.of(new Choice(prompt, choices, answer))).right())
                        .as("%s: %s, answer %d", prompt, Arrays.toString(means), answer)
                        .isEqualTo(answer == best ? 1 : 0);
            }
        }
    }

    @Test
    void questionsAreReadAndBadOnesNamed() throws IOException {
        Path file = folder.resolve("questions.jsonl");
        Files.writeString(file, "{\"prompt\": \"2 + 2 =\", \"choices\": [\" 4\", \" 5\"], \"answer\": 0}\n");
        assertThat(Evaluation.readChoices(file)).containsExactly(new Choice("2 + 2 =", List.of(" 4", " 5"), 0));
        for (String bad : List.of("\"choices\": [\"a\"], \"answer\": 0", "\"choices\": [\"a\", \"b\"], \"answer\": 2",
                "\"choices\": [\"a\", 3], \"answer\": 0", "\"choices\": [\"a\", \"b\"], \"answer\": \"a\"",
                "\"choices\": [\"a\", \"b\"]")) {
            Files.writeString(file, "{\"prompt\": \"p\", " + bad + "}");
            assertThatThrownBy(() -> Evaluation.readChoices(file)).isInstanceOf(AdapterException.class)
                    .hasMessageContaining("questions.jsonl, line 1");
        }
        Files.writeString(file, "{\"prompt\": \"p\", \"completion\": \"c\"}");
        assertThat(Evaluation.readPairs(file)).containsExactly(new Pair("p", "c"));
    }
}
