package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Every way to decode, with the cache of every kind of model: several texts together give what each gives alone, and what
 * is cached gives what reading anew gives. On the golden checkpoints, whose weights are random.
 */
@Tag("golden")
class EveryBackboneTest {

    private static final int NEW = 7;

    @TestFactory
    Stream<DynamicTest> decodesByEveryStrategy() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models").forEach(c -> backbone(c).flatMap(EveryBackboneTest::writer).ifPresent(model ->
                tests.add(DynamicTest.dynamicTest(c.id(), () -> new Check(model).run()))));
        assertThat(tests.size()).isGreaterThan(3);
        return tests.stream();
    }

    /** From text to text: an encoder-decoder reads its prompt and writes after its start token. */
    @Test
    void anEncoderDecoderAnswersTexts() {
        Golden.Case golden = Golden.cases("models", "t5").findFirst().orElseThrow();
        Seq2SeqLm model = Models.load(golden.folder(), Backends.reference(), DType.F64).as(Seq2SeqLm.class);
        Tokenizer letters = Tokenizer.parse("""
                {"model": {"type": "BPE", "vocab": {"a": 3, "b": 4, "c": 5, "d": 6}, "merges": []}, "decoder": {"type": "Fuse"}}""", "letters");
        TextGenerator writer = new TextGenerator(new Models.Loaded("t5", model, Optional.of(letters), new GenerationDefaults(-1, new int[0], 0)),
                SamplingOptions.greedy(6)).with(BeamSearch.of(2));
        List<String> prompts = List.of("abcd", "ba");
        List<Generation> together = writer.generate(prompts);
        for (int i = 0; i < 2; i++) {
            long[] ids = Arrays.stream(letters.encode(prompts.get(i), true).ids()).asLongStream().toArray();
            CausalLm decoder = model.given(Recording.off(() -> model.encode(EncoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length)),
                    model.seams().inference())));
            int[] want = new Generator(new CausalLanguageModel(decoder, model.seams().inference()), SamplingOptions.greedy(6))
                    .with(BeamSearch.of(2)).generate(new int[] {model.decoderStartToken()}).tokens();
            assertThat(together.get(i).tokens()).isEqualTo(want);
            assertThat(writer.generate(prompts.get(i)).tokens()).isEqualTo(want);
            assertThat(together.get(i).text()).isEqualTo(letters.decode(want, true));
        }
    }

    private static Optional<Backbone> backbone(Golden.Case c) {
        try {
            return Optional.of(Models.load(c.folder(), Backends.reference(), DType.F64).backbone());
        } catch (ModelException e) {
            return Optional.empty();
        }
    }

    /** A language model of a backbone that writes; an encoder-decoder is given some source. */
    private static Optional<CausalLm> writer(Backbone backbone) {
        if (backbone instanceof Seq2SeqLm model) {
            Random random = new Random(3);
            EncoderInput source = model.modelType().equals("whisper")
                    ? EncoderInput.of(Var.constant(features(model, random))) : EncoderInput.of(Tensor.of(model.backend(),
                    random.longs(8, 3, model.vocabularySize()).toArray(), 1, 8));
            return Optional.of(model.given(Recording.off(() -> model.encode(source, model.seams().inference()))));
        }
        return backbone instanceof CausalLm model ? Optional.of(model) : Optional.empty();
    }

    /** Noise as long as the model's own golden inputs are. */
    private static Tensor features(Seq2SeqLm model, Random random) {
        Golden.Case whisper = Golden.cases("models", "whisper").findFirst().orElseThrow();
        Golden.Array given = Golden.arrays(whisper.file("inputs.safetensors")).values().stream()
                .filter(a -> a.shape().length == 3).findFirst().orElseThrow();
        long[] shape = given.shape();
        double[] noise = random.doubles(shape[1] * shape[2], -1, 1).toArray();
        return Tensor.of(model.backend(), DType.F64, noise, 1, shape[1], shape[2]);
    }

    private record Check(CausalLm backbone, LanguageModel model, List<TextRequest> prompts) {

        Check(CausalLm backbone) {
            this(backbone, new CausalLanguageModel(backbone, backbone.seams()::inference), prompts(backbone));
        }

        private static List<TextRequest> prompts(CausalLm backbone) {
            Random random = new Random(backbone.vocabularySize());
            List<TextRequest> prompts = new ArrayList<>();
            for (int length : new int[] {5, 1, 9}) {
                int[] ids = random.ints(length, 0, backbone.vocabularySize()).toArray();
                prompts.add(new TextRequest(ids, prompts.size(), TextDecoder.NONE, GenerationListener.NONE));
            }
            return prompts;
        }

        private SamplingOptions.Builder options() {
            return SamplingOptions.builder().maxNewTokens(NEW).seed(4);
        }

        void run() {
            readsAsItWouldAnew(model);
            for (int block : new int[] {1, 3, 16}) {
                readsAsItWouldAnew(new CausalLanguageModel(backbone, backbone.seams()::inference).inBlocks(block));
            }
            Generator greedy = new Generator(model, options().build());
            Generator drawn = new Generator(model, options().doSample(true).topK(20).build());
            for (Generator generator : List.of(greedy, drawn, greedy.with(BeamSearch.of(3).withReturnSequences(2)),
                    greedy.with(new ContrastiveSearch(0.6, 4)), greedy.within(evenTokens()))) {
                together(generator);
            }
            // The model drafts for itself: everything is kept. Another one's drafts are mostly refused.
            LanguageModel other = Logits.process(model, () -> (history, length, logits) -> {
                for (int token = 0; token < logits.length; token++) {
                    logits[token] *= (token + length) % 3 == 0 ? 1.5f : 1;
                }
            });
            for (LanguageModel draft : List.of(model, other)) {
                assertThat(tokens(greedy.with(new SpeculativeDecoding(draft, 3)).generate(prompts))).isEqualTo(tokens(greedy.generate(prompts)));
            }
            // What is composed of one model is that model.
            Generator halves = new Generator(model.times(0.5).plus(0.5, model), options().build());
            assertThat(tokens(halves.with(BeamSearch.of(3)).generate(prompts))).isEqualTo(tokens(greedy.with(BeamSearch.of(3)).generate(prompts)));
        }

        private void together(Generator generator) {
            List<List<Hypothesis>> all = generator.hypotheses(prompts);
            for (int i = 0; i < prompts.size(); i++) {
                List<Hypothesis> alone = generator.hypotheses(List.of(prompts.get(i))).getFirst();
                assertThat(alone).hasSameSizeAs(all.get(i));
                for (int j = 0; j < alone.size(); j++) {
                    assertThat(all.get(i).get(j).generation().tokens()).isEqualTo(alone.get(j).generation().tokens());
                    double score = alone.get(j).score();
                    assertThat(Double.isNaN(score) || Math.abs(all.get(i).get(j).score() - score) < 1e-5).isTrue();
                }
            }
        }

        /** Rows copied, dropped and exchanged have the logits of their own texts. */
        private void readsAsItWouldAnew(LanguageModel model) {
            int vocabulary = model.vocabularySize();
            int[][] texts = {{1, 2, 3}, {4, 5, 6}};
            try (BatchSession batch = model.openBatch(2)) {
                batch.read(texts, new float[2][vocabulary]);
                batch.reorder(1, 0, 1, 1);
                batch.read(new int[][] {{7}, {8}, {9}, {2}}, new float[4][vocabulary]);
                batch.reorder(3, 1, 0);
                float[][] logits = new float[3][vocabulary];
                batch.read(new int[][] {{1}, {2}, {3}}, logits);
                int[][] whole = {{4, 5, 6, 2, 1}, {1, 2, 3, 8, 2}, {4, 5, 6, 7, 3}};
                for (int row = 0; row < 3; row++) {
                    assertThat(batch.length(row)).isEqualTo(5);
                    near(logits[row], anew(whole[row])[4]);
                }
            }
            try (LanguageModel.Session session = model.open()) {
                session.feed(1, 2, 3, 4, 5);
                float[][] last = new float[3][vocabulary];
                session.logits(last);
                float[][] all = anew(1, 2, 3, 4, 5);
                for (int i = 0; i < 3; i++) {
                    near(last[i], all[i + 2]);
                }
                session.rewind(4);
                session.feed(7, 8);
                session.logits(last[0]);
                near(last[0], anew(1, 2, 3, 4, 7, 8)[5]);
            }
        }

        private float[][] anew(int... text) {
            float[][] logits = new float[text.length][model.vocabularySize()];
            for (int i = 0; i < text.length; i++) {
                try (LanguageModel.Session session = model.open()) {
                    session.feed(Arrays.copyOf(text, i + 1));
                    session.logits(logits[i]);
                }
            }
            return logits;
        }

        private static void near(float[] got, float[] want) {
            for (int i = 0; i < want.length; i++) {
                assertThat(got[i]).isCloseTo(want[i], offset(1e-5f * Math.max(1, Math.abs(want[i]))));
            }
        }

        private static List<List<Integer>> tokens(List<Generation> texts) {
            return texts.stream().map(text -> Arrays.stream(text.tokens()).boxed().toList()).toList();
        }

        private TokenAutomaton evenTokens() {
            BitSet even = new BitSet();
            for (int token = 0; token < model.vocabularySize(); token += 2) {
                even.set(token);
            }
            return new TokenAutomaton() {
                @Override
                public int start() {
                    return 0;
                }

                @Override
                public int next(int state, int token) {
                    return even.get(token) ? 0 : REFUSED;
                }

                @Override
                public boolean accepts(int state) {
                    return true;
                }

                @Override
                public BitSet allowed(int state) {
                    return even;
                }

                @Override
                public int remaining(int state) {
                    return 0;
                }

                @Override
                public int longestRemaining() {
                    return 0;
                }
            };
        }
    }
}
