package dev.jotune.peft.decoding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.decoding.ControlDistillation.Lesson;
import dev.jotune.peft.methods.SelfControlPrefix;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Control by a model's own judgement, and what a prefix keeps of it (catalogue S054, works_when), on {@link Moods}. */
class SelfControlTest {
    private static final int PROMPTS = 40;
    /** Gradients of so small a model are some thousandths, its states some tens. */
    private static final double STEP = 1e5;
    private static CausalLm model;
    private static Pass bare;

    @TempDir
    private Path folder;

    @BeforeAll
    static void train() {
        model = Moods.trained();
        bare = model.seams().inference();
    }

    private static SelfControl control(double step, int branches) {
        return new SelfControl(List.of(Moods.SCORE), step, 8, 3, branches, 0, Moods.WORDS, List.of());
    }

    private static int[] greedy(int[] prompt) {
        SamplingOptions options = SamplingOptions.builder().maxNewTokens(Moods.WORDS).build();
        return new Generator(new CausalLanguageModel(model, model.seams().inference()), options).generate(prompt).tokens();
    }

    @Test
    void aStepOfZeroIsTheModelsOwnAnswer() {
        for (int i = 0; i < 10; i++) {
            SelfControl.Answer answer = control(0, 1).write(model, Moods.prompt(i), bare);
            assertThat(answer.tokens()).containsExactly(greedy(Moods.prompt(i)));
        }
    }

    /** In double precision: each number of the gradient, and the change along the clipped direction. */
    @Test
    void gradientsAreDifferenceQuotientsAndSmallStepsRaiseTheScoreAsMuchAsTheySay() {
        CausalLm wide = Moods.untrained(true);
        Pass pass = wide.seams().inference();
        SelfControl control = new SelfControl(List.of(Moods.SCORE, SuffixScore.of(List.of(3, 4), 7, 9)), 0.1, 1, 1, 1, 0, Moods.WORDS, List.of());
        int[] prompt = Moods.prompt(1);
        int[] answer = {6, 7, 11};
        int[] text = {prompt[0], prompt[1], prompt[2], 6, 7, 11};
        HiddenControl none = HiddenControl.none(wide, prompt.length);
        // From a point of its own, as in a later iteration.
        HiddenControl from = none.plus(0.3, control.gradient(wide, prompt, answer, none, pass));
        List<Tensor> g = control.gradient(wide, prompt, answer, from, pass);
        double largest = g.stream().flatMapToDouble(t -> Arrays.stream(t.toDoubleArray())).map(Math::abs).max().orElseThrow();
        assertThat(largest).isPositive();
        for (int layer = 0; layer < g.size(); layer++) {
            for (int at : new int[] {0, 17, 40}) {
                double[] one = new double[(int) g.get(layer).numel()];
                one[at] = 1;
                List<Tensor> direction = new ArrayList<>(g.stream().map(t -> Tensor.zeros(t.backend(), t.dtype(), t.shape())).toList());
                direction.set(layer, Tensor.of(g.get(layer).backend(), DType.F64, one, g.get(layer).shape()));
                double quotient = (scoreAt(control, wide, text, from.plus(1e-5, direction), pass)
                        - scoreAt(control, wide, text, from.plus(-1e-5, direction), pass)) / 2e-5;
                assertThat(g.get(layer).toDoubleArray()[at]).as("block %d, number %d", layer, at).isCloseTo(quotient, within(1e-6 * largest));
            }
        }
        List<Tensor> direction = control.clipped(g);
        double said = 0;
        for (int layer = 0; layer < g.size(); layer++) {
            double[] a = g.get(layer).toDoubleArray();
            double[] b = direction.get(layer).toDoubleArray();
            for (int i = 0; i < a.length; i++) {
                said += a[i] * b[i];
            }
        }
        double step = 1e-3;
        double change = scoreAt(control, wide, text, from.plus(step, direction), pass) - scoreAt(control, wide, text, from, pass);
        assertThat(change).isPositive().isCloseTo(step * said, within(0.05 * step * said));
    }

    private static double scoreAt(SelfControl control, CausalLm of, int[] text, HiddenControl at, Pass pass) {
        return Recording.off(() -> control.score(of, text, at.on(of, pass))).item();
    }

    @Test
    void positionsAreCutToNormOneAndOnlyTheLargestMove() {
        Tensor g = Tensor.of(Backends.cpu(), DType.F64, new double[] {3, 4, 0.3, 0.4, 0, 0.1}, 3, 2);
        assertThat(control(1, 1).clipped(List.of(g)).getFirst().toDoubleArray()).containsExactly(0.6, 0.8, 0.3, 0.4, 0, 0.1);
        SelfControl two = new SelfControl(List.of(Moods.SCORE), 1, 1, 1, 1, 2, 1, List.of());
        assertThat(two.clipped(List.of(g)).getFirst().toDoubleArray()).containsExactly(0.6, 0.8, 0.3, 0.4, 0, 0);
    }

    @Test
    void answersEndWithAnEndToken() {
        int[] own = greedy(Moods.prompt(3));
        SelfControl ending = new SelfControl(List.of(Moods.SCORE), 0.1, 1, 0, 1, 0, 5, List.of(own[1], own[0]));
        assertThat(ending.write(model, Moods.prompt(3), bare).tokens()).containsExactly(own[0]);
    }

    @Test
    void senselessSettingsAreRefused() {
        assertThatThrownBy(() -> control(-1, 1)).hasMessageContaining("step -1.0");
        assertThatThrownBy(() -> control(1, 0)).hasMessageContaining("0 branches");
        assertThatThrownBy(() -> SuffixScore.of(List.of(), 1, 2)).hasMessageContaining("0 tokens");
        assertThatThrownBy(() -> SuffixScore.of(List.of(1), 2, 2)).hasMessageContaining("answers 2 and 2");
    }

    /** The share of prompts that are answered well. */
    private static double good(int from, int to, Function<int[], int[]> answer) {
        return IntStream.range(from, to).filter(i -> Moods.isGood(answer.apply(Moods.prompt(i)))).count() / (double) (to - from);
    }

    /** Mean squared distance of the states from those that control left. */
    private static double error(List<Lesson> lessons) {
        return lessons.stream().mapToDouble(l -> Recording.off(() -> ControlDistillation.error(model, l, model.seams().inference())).item())
                .average().orElseThrow();
    }

    /** The mood is counted in words, not asked for. Then what a prefix, made of such controls, does without a gradient. */
    @Test
    void judgementTurnsAnswersAndAPrefixKeepsAtLeastHalfOfThat() {
        double before = good(0, PROMPTS, SelfControlTest::greedy);
        double branching = good(0, PROMPTS, p -> control(0, 6).write(model, p, bare).tokens());
        // Nothing but gradients: no other first tokens are tried. Here 0, 0.48, 0.55 and 0.78, and 0.90 by the prefix.
        double alone = good(0, PROMPTS, p -> control(STEP, 1).write(model, p, bare).tokens());
        double both = good(0, PROMPTS, p -> control(STEP, 6).write(model, p, bare).tokens());
        List<Lesson> lessons = new ArrayList<>();
        for (int i = PROMPTS; i < 4 * PROMPTS; i++) {
            int[] prompt = Moods.prompt(i);
            ControlDistillation.lesson(model, prompt, control(STEP, 1).write(model, prompt, bare), 0.5, bare).ifPresent(lessons::add);
        }
        List<Lesson> heldOut = lessons.subList(0, 10);
        double bareError = error(heldOut);
        Adapter prefix = Adapters.create(model, "prefix", SelfControlPrefix.DEFAULTS.sized(4, 16), 1);
        ControlDistillation.run(prefix, lessons.subList(10, lessons.size()), 300, 4, 9e-3);
        double kept = good(0, PROMPTS, SelfControlTest::greedy);
        double prefixError = error(heldOut);
        prefix.save(folder.resolve("prefix"));
        prefix.detach();
        Adapter loaded = Adapters.load(model, "loaded", folder.resolve("prefix"));
        double loadedError = error(heldOut);
        loaded.detach();
        assertThat(before).isLessThanOrEqualTo(0.1);
        assertThat(alone).as("by gradients alone").isGreaterThanOrEqualTo(before + 0.3);
        assertThat(both).isGreaterThanOrEqualTo(0.6).isGreaterThan(branching);
        assertThat(prefixError).isLessThanOrEqualTo(0.5 * bareError);
        assertThat(kept - before).isGreaterThanOrEqualTo((alone - before) / 2);
        assertThat(loadedError).isEqualTo(prefixError);
    }

    @Test
    void whatWentTooFarIsNoLesson() {
        int[] prompt = Moods.prompt(2);
        HiddenControl none = HiddenControl.none(model, prompt.length);
        List<Tensor> ones = none.shifts().stream().map(v -> Tensor.full(v.backend(), v.dtype(), 1, v.shape())).toList();
        SelfControl.Answer little = new SelfControl.Answer(greedy(prompt), 0, none.plus(1e-3, ones));
        assertThat(ControlDistillation.lesson(model, prompt, little, 0.5, bare)).isPresent();
        assertThat(ControlDistillation.lesson(model, prompt, new SelfControl.Answer(greedy(prompt), 0, none), 0.5, bare)).isEmpty();
        SelfControl.Answer far = new SelfControl.Answer(greedy(prompt), 0, none.plus(1e3, ones));
        assertThat(ControlDistillation.lesson(model, prompt, far, 0.5, bare)).isEmpty();
    }
}
