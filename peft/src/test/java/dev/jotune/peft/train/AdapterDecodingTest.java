package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.generate.BeamSearch;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.ContrastiveSearch;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.generate.Strategy;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every way to decode under adapters, whose virtual tokens and segments lie before the text. */
class AdapterDecodingTest {
    private final CausalLm model = TinyModel.make(Backends.reference(), DType.F64);

    private Pass adapted(String method) {
        Adapter adapter = Adapters.create(model, method, TinyModel.method(method), 3);
        long stream = 0;
        for (Var v : adapter.trainables().values()) {
            double[] noisy = v.tensor().toDoubleArray();
            for (int i = 0; i < noisy.length; i++) {
                noisy[i] += 0.3 * Philox.normal(8, stream, i);
            }
            stream++;
            v.tensor().copyFrom(Tensor.of(v.backend(), v.dtype(), noisy, v.shape()));
        }
        Pass pass = model.seams().inference();
        model.seams().detach(method);
        return pass;
    }

    private static List<List<Integer>> tokens(List<Generation> texts) {
        return texts.stream().map(text -> Arrays.stream(text.tokens()).boxed().toList()).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora", "prefix", "prompt"})
    void textsTogetherAreWhatEachIsAlone(String method) {
        CausalLanguageModel language = new CausalLanguageModel(model, adapted(method));
        List<TextRequest> requests = List.of(TextRequest.of(1, 2, 3, 4), TextRequest.of(5), TextRequest.of(2, 2));
        List<Strategy> strategies = List.of(Strategy.STEPWISE, BeamSearch.of(3), new ContrastiveSearch(0.5, 3));
        for (Strategy strategy : strategies) {
            Generator generator = new Generator(language, SamplingOptions.greedy(6)).with(strategy);
            List<List<Integer>> together = tokens(generator.generate(requests));
            for (int i = 0; i < requests.size(); i++) {
                assertThat(together.get(i)).isEqualTo(tokens(generator.generate(requests.subList(i, i + 1))).getFirst());
            }
            Generator blocks = new Generator(language.inBlocks(3), SamplingOptions.greedy(6)).with(strategy);
            assertThat(tokens(blocks.generate(requests))).isEqualTo(together);
        }
    }

    /** Model and draft are one model, with and without its adapter. */
    @ParameterizedTest
    @ValueSource(strings = {"lora", "prefix", "prompt"})
    void theModelDraftsForItselfUnderOtherAdapters(String method) {
        LanguageModel tuned = new CausalLanguageModel(model, adapted(method));
        LanguageModel plain = new CausalLanguageModel(model, Pass.inference(List.<Hooks>of()));
        for (LanguageModel target : List.of(tuned, plain, plain.plus(0.5, tuned))) {
            LanguageModel draft = target == tuned ? plain : tuned;
            Generator generator = new Generator(target, SamplingOptions.greedy(15));
            List<TextRequest> requests = List.of(TextRequest.of(1, 2, 3, 4), TextRequest.of(5));
            assertThat(tokens(generator.with(new SpeculativeDecoding(draft, 3)).generate(requests)))
                    .isEqualTo(tokens(generator.generate(requests)));
        }
    }
}
