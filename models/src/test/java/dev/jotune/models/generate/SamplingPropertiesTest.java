package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;

/** What must hold of the samplers for any logits, ties and bans among them. */
class SamplingPropertiesTest {

    private static final int[] NO_HISTORY = {};

    /** Few different values, so that ties are common; some tokens are ruled out, never all. */
    @Provide
    Arbitrary<float[]> logits() {
        Arbitrary<Float> coarse = Arbitraries.integers().between(-12, 12).map(i -> i * 0.5f);
        Arbitrary<Float> fine = Arbitraries.floats().between(-8, 8).ofScale(6);
        Arbitrary<Float> banned = Arbitraries.just(Float.NEGATIVE_INFINITY);
        return Arbitraries.frequencyOf(Tuple.of(5, coarse), Tuple.of(4, fine),
                        Tuple.of(1, banned))
                .array(Float[].class).ofMinSize(1).ofMaxSize(60)
                .map(values -> {
                    float[] out = new float[values.length];
                    for (int i = 0; i < out.length; i++) {
                        out[i] = values[i];
                    }
                    out[out.length / 2] = Float.isInfinite(out[out.length / 2]) ? 0 : out[out.length / 2];
                    return out;
                });
    }

    @Property
    void topPKeepsTheSmallestSetOfLikelyTokensThatHasTheMass(@ForAll("logits") float[] logits,
                                                             @ForAll @DoubleRange(min = 0.01, max = 0.99) double p) {
        double[] before = softmax(logits);
        float[] after = apply(new TopP(p), logits);
        double mass = 0;
        double leastKept = 1;
        double mostRemoved = 0;
        for (int i = 0; i < after.length; i++) {
            if (kept(after, i)) {
                mass += before[i];
                leastKept = Math.min(leastKept, before[i]);
            } else {
                mostRemoved = Math.max(mostRemoved, before[i]);
            }
        }
        assertThat(mass).isGreaterThanOrEqualTo(p - 1e-12);
        assertThat(mass - leastKept).isLessThan(p + 1e-12);
        assertThat(leastKept).isGreaterThanOrEqualTo(mostRemoved);
    }

    @Property
    void topKKeepsTheKthAndAllItsTies(@ForAll("logits") float[] logits, @ForAll @IntRange(min = 1, max = 70) int k) {
        float[] sorted = logits.clone();
        Arrays.sort(sorted);
        float kth = sorted[Math.max(0, sorted.length - k)];
        float[] after = apply(new TopK(k), logits);
        for (int i = 0; i < logits.length; i++) {
            assertThat(after[i]).isEqualTo(logits[i] >= kth ? logits[i] : Float.NEGATIVE_INFINITY);
        }
    }

    @Property
    void minPKeepsWhatIsNotFarBelowTheBest(@ForAll("logits") float[] logits,
                                           @ForAll @DoubleRange(min = 0.01, max = 1) double share) {
        double[] before = softmax(logits);
        double best = Arrays.stream(before).max().orElseThrow();
        float[] after = apply(new MinP(share), logits);
        for (int i = 0; i < logits.length; i++) {
            if (Math.abs(before[i] - share * best) > 1e-12 * best) {
                assertThat(kept(after, i)).isEqualTo(before[i] > share * best && kept(logits, i));
            }
        }
        assertThat(kept(after, Sampler.argmax(logits))).isTrue();
    }

    @Property
    void filtersLeaveTheBestTokenOrATypicalOneAndChangeNoKeptLogit(@ForAll("logits") float[] logits,
            @ForAll @DoubleRange(min = 0.01, max = 0.99) double setting) {
        List<LogitsProcessor> filters = List.of(new TopP(setting), new MinP(setting), new TypicalP(setting),
                new EpsilonCutoff(setting), new EtaCutoff(setting), new TopH(setting), new TopK(3));
        for (LogitsProcessor filter : filters) {
            float[] after = apply(filter, logits);
            assertThat(IntStream.range(0, after.length).filter(i -> kept(after, i)).count()).isPositive();
            for (int i = 0; i < after.length; i++) {
                assertThat(after[i]).isIn(logits[i], Float.NEGATIVE_INFINITY);
            }
            if (!(filter instanceof TypicalP)) {
                assertThat(kept(after, Sampler.argmax(logits))).as("%s", filter).isTrue();
            }
        }
    }

    @Property
    void minTokensToKeepIsKeptAsFarAsThereAreTokens(@ForAll("logits") float[] logits,
                                                    @ForAll @IntRange(min = 1, max = 70) int keep) {
        long available = IntStream.range(0, logits.length).filter(i -> kept(logits, i)).count();
        List<LogitsProcessor> filters = List.of(new TopP(0.01, keep), new MinP(1, keep), new TypicalP(0.01, keep),
                new EpsilonCutoff(0.99, keep), new EtaCutoff(0.99, keep), new TopK(1, keep));
        for (LogitsProcessor filter : filters) {
            float[] after = apply(filter, logits);
            assertThat(IntStream.range(0, after.length).filter(i -> kept(after, i)).count())
                    .isGreaterThanOrEqualTo(Math.min(keep, available));
        }
    }

    @Property
    void aProcessorsBuffersHoldNothingOver(@ForAll("logits") float[] first, @ForAll("logits") float[] second) {
        List<LogitsProcessor> used = SamplingOptions.builder().doSample(true).topK(7).topP(0.9).minP(0.05)
                .typicalP(0.8).etaCutoff(0.02).epsilonCutoff(0.01).build().processors(0);
        List<LogitsProcessor> fresh = SamplingOptions.builder().doSample(true).topK(7).topP(0.9).minP(0.05)
                .typicalP(0.8).etaCutoff(0.02).epsilonCutoff(0.01).build().processors(0);
        apply(LogitsProcessor.chain(used), first);
        assertThat(apply(LogitsProcessor.chain(used), second)).isEqualTo(apply(LogitsProcessor.chain(fresh), second));
    }

    @Property
    void greedyTakesTheLargestLogitAndTheLowestIdOfTies(@ForAll("logits") float[] logits, @ForAll long seed) {
        int best = IntStream.range(0, logits.length).reduce(0, (a, b) -> logits[b] > logits[a] ? b : a);
        Sampler sampler = new Sampler(SamplingOptions.builder().seed(seed).temperature(0.3).topK(2).build(), 0, 0);
        assertThat(sampler.next(NO_HISTORY, 0, logits.clone(), 0)).isEqualTo(best);
        Sampler zero = new Sampler(SamplingOptions.builder().doSample(true).temperature(0).seed(seed).build(), 0, 0);
        assertThat(zero.next(NO_HISTORY, 0, logits.clone(), 0)).isEqualTo(best);
    }

    @Property
    void aVanishingTemperatureDrawsOneOfTheBest(@ForAll("logits") float[] logits, @ForAll long seed) {
        SamplingOptions cold = SamplingOptions.builder().doSample(true).temperature(1e-9).seed(seed).build();
        int token = new Sampler(cold, 0, 0).next(NO_HISTORY, 0, logits.clone(), 0);
        assertThat(logits[token]).isEqualTo(logits[Sampler.argmax(logits)]);
    }

    @Property
    void aDrawIsAFunctionOfSeedRowAndStepAndNeverTakesARemovedToken(@ForAll("logits") float[] logits,
            @ForAll long seed, @ForAll @IntRange(max = 9) int row, @ForAll @IntRange(max = 1000) int step) {
        SamplingOptions options = SamplingOptions.builder().doSample(true).seed(seed).build();
        Sampler sampler = new Sampler(options, 0, row);
        sampler.next(NO_HISTORY, 0, logits.clone(), step + 1L);
        int token = sampler.next(NO_HISTORY, 0, logits.clone(), step);
        assertThat(token).isEqualTo(new Sampler(options, 0, row).next(NO_HISTORY, 0, logits.clone(), step));
        assertThat(kept(logits, token)).isTrue();

        // The definition: the first token whose summed probability exceeds the uniform number.
        double uniform = Philox.uniformDouble(seed, row, step);
        double sum = 0;
        double[] probabilities = softmax(logits);
        for (int i = 0; i < token; i++) {
            sum += probabilities[i];
        }
        assertThat(uniform).isGreaterThanOrEqualTo(sum - 1e-12).isLessThan(sum + probabilities[token] + 1e-12);
    }

    @Property(tries = 20)
    void drawsHaveTheDistributionsFrequencies(@ForAll("logits") float[] logits, @ForAll long seed) {
        Sampler sampler = new Sampler(SamplingOptions.builder().doSample(true).seed(seed).build(), 0, 0);
        int draws = 20_000;
        int[] counts = new int[logits.length];
        for (int step = 0; step < draws; step++) {
            counts[sampler.next(NO_HISTORY, 0, logits.clone(), step)]++;
        }
        double[] expected = softmax(logits);
        for (int i = 0; i < counts.length; i++) {
            // Six standard deviations, and a little for the rarest.
            double margin = 6 * Math.sqrt(expected[i] * (1 - expected[i]) / draws) + 4.0 / draws;
            assertThat(counts[i] / (double) draws).isCloseTo(expected[i], within(margin));
        }
    }

    private static boolean kept(float[] logits, int token) {
        return logits[token] != Float.NEGATIVE_INFINITY;
    }

    private static float[] apply(LogitsProcessor processor, float[] logits) {
        float[] out = logits.clone();
        processor.apply(NO_HISTORY, 0, out);
        return out;
    }

    static double[] softmax(float[] logits) {
        double sum = 0;
        double[] out = new double[logits.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Math.exp(logits[i]);
            sum += out[i];
        }
        for (int i = 0; i < out.length; i++) {
            out[i] /= sum;
        }
        return out;
    }
}
