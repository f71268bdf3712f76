package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SamplingOptionsTest {

    static List<Arguments> wrong() {
        return List.of(
                wrong("temperature is -0.5", b -> b.temperature(-0.5)),
                wrong("temperature is NaN", b -> b.temperature(Double.NaN)),
                wrong("top_k is -1", b -> b.topK(-1)),
                wrong("top_p is 0.0", b -> b.topP(0)),
                wrong("top_p is 1.1", b -> b.topP(1.1)),
                wrong("min_p is 2.0", b -> b.minP(2)),
                wrong("typical_p is 0.0", b -> b.typicalP(0)),
                wrong("epsilon_cutoff is 1.0", b -> b.epsilonCutoff(1)),
                wrong("eta_cutoff is -1.0", b -> b.etaCutoff(-1)),
                wrong("repetition_penalty is 0.0", b -> b.repetitionPenalty(0)),
                wrong("no_repeat_ngram_size is -2", b -> b.noRepeatNgramSize(-2)),
                wrong("max_new_tokens is 0", b -> b.maxNewTokens(0)),
                wrong("min_new_tokens is 9, more than max_new_tokens 8", b -> b.maxNewTokens(8).minNewTokens(9)),
                wrong("A stop string is empty", b -> b.stopStrings(List.of("a", ""))),
                wrong("eos_token_id holds the token id -3", b -> b.eosTokenIds(-3)));
    }

    private static Arguments wrong(String message, UnaryOperator<SamplingOptions.Builder> change) {
        return Arguments.of(message, change);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrong")
    void aSettingOutsideItsRangeIsRefusedByName(String message, UnaryOperator<SamplingOptions.Builder> change) {
        SamplingOptions.Builder builder = change.apply(SamplingOptions.builder());
        assertThatThrownBy(builder::build).isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(message)
                .hasMessageMatching("(?s).+\\. [A-Z0-9].+\\.");
    }

    @Test
    void samplersComeInGeneratesOrderAndOnlyWhenSampling() {
        SamplingOptions.Builder all = SamplingOptions.builder().temperature(0.5).topK(3).topP(0.9).minP(0.1)
                .typicalP(0.9).epsilonCutoff(0.01).etaCutoff(0.01).repetitionPenalty(1.1).noRepeatNgramSize(3)
                .minNewTokens(2).eosTokenIds(1).suppressTokens(0);
        assertThat(all.build().processors(4)).extracting(p -> (Object) p.getClass()).containsExactly(
                RepetitionPenalty.class, NoRepeatNgram.class, Suppress.class, Suppress.class);
        assertThat(all.doSample(true).build().processors(4)).extracting(p -> (Object) p.getClass()).containsExactly(
                RepetitionPenalty.class, NoRepeatNgram.class, Suppress.class, Suppress.class, Temperature.class,
                TopK.class, TopP.class, MinP.class, TypicalP.class, EpsilonCutoff.class, EtaCutoff.class);
        assertThat(SamplingOptions.builder().doSample(true).build().processors(4)).isEmpty();
    }

    @Test
    void whatIsLeftOfNoTokensOrOfBrokenLogitsIsRefused() {
        float banned = Float.NEGATIVE_INFINITY;
        for (boolean greedy : new boolean[] {true, false}) {
            Sampler sampler = new Sampler(List.of(), greedy, 1, 0);
            assertThatThrownBy(() -> sampler.next(new int[0], 0, new float[] {banned, banned}, 0))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("All 2 tokens are ruled out");
            assertThatThrownBy(() -> sampler.next(new int[0], 0, new float[] {0, Float.NaN, 1}, 0))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("NaN");
            assertThatThrownBy(() -> sampler.next(new int[0], 0, new float[] {0, Float.POSITIVE_INFINITY}, 0))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("Infinity");
        }
    }
}
