package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Texts, why they end, and what is told on the way. */
class GeneratorTest {

    private static final int V = 10;

    @Test
    void greedyFollowsTheModelUntilTheLimit() {
        TableModel model = TableModel.counting(V, 100);
        List<Integer> heard = new ArrayList<>();
        Generation result = new Generator(model, SamplingOptions.greedy(5)).generate(new int[] {2, 3},
                TextDecoder.NONE, new GenerationListener() {
                    @Override
                    public void token(int id) {
                        heard.add(id);
                    }
                });
        assertThat(result.tokens()).containsExactly(4, 5, 6, 7, 8);
        assertThat(heard).containsExactly(4, 5, 6, 7, 8);
        assertThat(result.finishReason()).isEqualTo(FinishReason.MAX_NEW_TOKENS);
        assertThat(result.promptTokens()).isEqualTo(2);
        assertThat(result.newTokens()).isEqualTo(5);
        assertThat(result.promptTime()).isPositive();
        assertThat(result.tokensPerSecond()).isPositive();
        // The prompt in one pass, then a token each; the last is not read any more.
        assertThat(model.passes).containsExactly(2, 1, 1, 1, 1);
        assertThat(model.open).isZero();
    }

    @Test
    void anEndTokenEndsTheTextWithoutBeingPartOfIt() {
        SamplingOptions options = SamplingOptions.builder().eosTokenIds(7, 5).build();
        Generation result = generate(TableModel.counting(V, 100), options, words(), 2);
        assertThat(result.tokens()).containsExactly(3, 4, 5);
        assertThat(result.text()).isEqualTo("<3><4>");
        assertThat(result.finishReason()).isEqualTo(FinishReason.END_TOKEN);

        Generation later = generate(TableModel.counting(V, 100), SamplingOptions.builder().eosTokenIds(5)
                .minNewTokens(4).maxNewTokens(6).build(), words(), 2);
        assertThat(later.tokens()).startsWith(3, 4).hasSize(6);
        assertThat(IntStream.of(later.tokens()).limit(4)).doesNotContain(5);
    }

    @Test
    void theContextIsUsedToItsEndAndALongerPromptRefused() {
        Generator generator = new Generator(TableModel.counting(V, 4), SamplingOptions.greedy(50));
        Generation result = generator.generate(new int[] {1, 2});
        assertThat(result.tokens()).containsExactly(3, 4, 5);
        assertThat(result.finishReason()).isEqualTo(FinishReason.CONTEXT_FULL);
        assertThat(generator.generate(new int[] {1, 2, 3, 4}).tokens()).containsExactly(5);
        assertThatThrownBy(() -> generator.generate(new int[] {1, 2, 3, 4, 5}))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("The prompt has 5 tokens, more than the model's context of 4. Shorten the prompt.");
    }

    @Test
    void badInputIsRefusedByName() {
        TableModel model = TableModel.counting(V, 20);
        Generator generator = new Generator(model, SamplingOptions.greedy(3));
        assertThatThrownBy(() -> generator.generate(new int[0])).hasMessageContaining("prompt has 0 tokens");
        assertThatThrownBy(() -> generator.generate(new int[] {1, V})).hasMessageContaining("token id 10");
        assertThatThrownBy(() -> new Generator(model, SamplingOptions.builder().eosTokenIds(V).build()))
                .hasMessageContaining("eos_token_id").hasMessageContaining("10 tokens");
        SamplingOptions stop = SamplingOptions.builder().stopStrings(List.of("x")).build();
        assertThatThrownBy(() -> new Generator(model, stop).generate(new int[] {1})).hasMessageContaining("no decoder");
        assertThat(model.open).isZero();
    }

    @Test
    void aSessionIsClosedWhateverHappens() {
        TableModel model = TableModel.counting(V, 20);
        Generator banned = new Generator(Logits.constrain(model, (history, length, token) -> length < 4),
                SamplingOptions.greedy(9));
        assertThatThrownBy(() -> banned.generate(new int[] {1})).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("All 10 tokens are ruled out");
        assertThat(model.open).isZero();
    }

    @Property(tries = 50)
    void theSameSeedGivesTheSameTextAndEachRowItsOwn(@ForAll long seed) {
        SamplingOptions options = SamplingOptions.builder().doSample(true).seed(seed).maxNewTokens(40).build();
        Generator generator = new Generator(TableModel.hashing(V, 8), options);
        int[] prompt = {1, 2};
        Generation first = generator.generate(prompt, 0, TextDecoder.NONE, GenerationListener.NONE);
        Generation second = generator.generate(prompt, 1, TextDecoder.NONE, GenerationListener.NONE);
        assertThat(generator.generate(prompt).tokens()).isEqualTo(first.tokens()).isNotEqualTo(second.tokens());
        assertThat(first.tokens()).hasSize(40);
    }

    @Test
    void proxyTuningDecodesLikeTheTunedTable() {
        TableModel base = TableModel.hashing(V, 1);
        TableModel expert = TableModel.hashing(V, 2);
        TableModel anti = TableModel.hashing(V, 3);
        TableModel direct = new TableModel(V, 100, history -> {
            float[] out = base.at(history);
            for (int i = 0; i < V; i++) {
                out[i] += 0.7f * (expert.at(history)[i] - anti.at(history)[i]);
            }
            return out;
        });
        SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(0.8).topP(0.9).seed(3)
                .maxNewTokens(30).repetitionPenalty(1.2).build();
        assertThat(generate(base.plus(0.7, expert.minus(anti)), options, TextDecoder.NONE, 4).tokens())
                .isEqualTo(generate(direct, options, TextDecoder.NONE, 4).tokens());
        assertThat(base.passes).hasSize(30).allMatch(tokens -> tokens == 1);
        assertThat(base.passes).isEqualTo(expert.passes).isEqualTo(anti.passes);
    }

    @Test
    void aNgramIsNotRepeatedWithTheHistoryOfTheWholeText() {
        SamplingOptions options = SamplingOptions.builder().noRepeatNgramSize(2).maxNewTokens(25).build();
        int[] tokens = generate(TableModel.counting(V, 100), options, TextDecoder.NONE, 0).tokens();
        List<Integer> pairs = new ArrayList<>();
        int last = 0;
        for (int token : tokens) {
            pairs.add(last * V + token);
            last = token;
        }
        assertThat(pairs).doesNotHaveDuplicates().hasSize(25);
    }

    @Test
    void extraProcessorsComeFirst() {
        Generator generator = new Generator(TableModel.counting(V, 100), SamplingOptions.greedy(2),
                List.of(() -> ForcedToken.first(6)));
        assertThat(generator.generate(new int[] {1}).tokens()).containsExactly(6, 7);
    }

    @Test
    void aStopStringEndsTheTextAcrossTokensAndIsNotEmitted() {
        StringBuilder heard = new StringBuilder();
        SamplingOptions options = SamplingOptions.builder().stopStrings(List.of("4><5", "nothing")).build();
        Generation result = new Generator(TableModel.counting(V, 100), options).generate(new int[] {1}, words(),
                new GenerationListener() {
                    @Override
                    public void text(String piece) {
                        assertThat(piece).isNotEmpty();
                        heard.append(piece);
                    }
                });
        assertThat(result.text()).isEqualTo("<2><3><");
        assertThat(heard).hasToString("<2><3><");
        assertThat(result.tokens()).containsExactly(2, 3, 4, 5);
        assertThat(result.finishReason()).isEqualTo(FinishReason.STOP_STRING);
    }

    @Test
    void whatOnlyLookedLikeAStopStringIsGivenOutAtTheEnd() {
        SamplingOptions options = SamplingOptions.builder().stopStrings(List.of("3>!")).maxNewTokens(2).build();
        Generation result = generate(TableModel.counting(V, 100), options, words(), 1);
        assertThat(result.text()).isEqualTo("<2><3>");
        assertThat(result.finishReason()).isEqualTo(FinishReason.MAX_NEW_TOKENS);
    }

    @Test
    void aStopStringInTheDecodersRemainderCounts() {
        TextDecoder late = new TextDecoder() {
            @Override
            public String push(int id) {
                return "a";
            }

            @Override
            public String finish() {
                return "bc";
            }
        };
        SamplingOptions options = SamplingOptions.builder().stopStrings(List.of("ab")).maxNewTokens(3).build();
        Generation result = generate(TableModel.counting(V, 100), options, late, 1);
        assertThat(result.text()).isEqualTo("aa");
        assertThat(result.finishReason()).isEqualTo(FinishReason.STOP_STRING);
    }

    @Provide
    Arbitrary<String> shortText() {
        return Arbitraries.strings().withChars('a', 'b', 'c').ofMinLength(1).ofMaxLength(40);
    }

    @Provide
    Arbitrary<List<String>> stops() {
        return Arbitraries.strings().withChars('a', 'b', 'c').ofMinLength(1).ofMaxLength(5).list().ofMaxSize(3);
    }

    @Property
    void stopStringsDoNotDependOnTheBordersOfTokens(@ForAll("shortText") String text,
            @ForAll("stops") List<String> stops, @ForAll @IntRange(min = 1, max = 7) int stride) {
        StopStrings pieces = new StopStrings(stops);
        StringBuilder got = new StringBuilder();
        for (int i = 0; i < text.length(); i += stride) {
            got.append(pieces.push(text.substring(i, Math.min(text.length(), i + stride))));
            // Never more than what is certain, never less than what cannot be part of a stop string.
            assertThat(wanted(text, stops)).startsWith(got.toString());
        }
        got.append(pieces.flush());
        assertThat(got).hasToString(wanted(text, stops));
        assertThat(pieces.found()).isEqualTo(stops.stream().anyMatch(text::contains));
    }

    /** The definition: cut at the stop string that is complete first, of several the longest. */
    private static String wanted(String text, List<String> stops) {
        for (int end = 1; end <= text.length(); end++) {
            String upTo = text.substring(0, end);
            int longest = stops.stream().filter(upTo::endsWith).mapToInt(String::length).max().orElse(0);
            if (longest > 0) {
                return upTo.substring(0, end - longest);
            }
        }
        return text;
    }

    private static Generation generate(LanguageModel model, SamplingOptions options, TextDecoder decoder,
                                       int... prompt) {
        return new Generator(model, options).generate(Arrays.copyOf(prompt, prompt.length), decoder,
                GenerationListener.NONE);
    }

    /** Token 3 reads {@code <3>}. */
    private static TextDecoder words() {
        return new TextDecoder() {
            @Override
            public String push(int id) {
                return "<" + id + ">";
            }

            @Override
            public String finish() {
                return "";
            }
        };
    }
}
