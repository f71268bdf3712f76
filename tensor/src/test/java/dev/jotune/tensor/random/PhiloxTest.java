package dev.jotune.tensor.random;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PhiloxTest {

    /** The lines "philox4x32 10" of the Random123 distribution's known-answer file: counter, key, result. */
    @ParameterizedTest
    @CsvSource({
        "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1",
    })
    void knownAnswersOfRandom123(String counter, String key, String expected) {
        int[] c = words(counter);
        int[] k = words(key);
        int[] out = new int[4];
        Philox.block(pair(k[0], k[1]), pair(c[0], c[1]), pair(c[2], c[3]), out);
        assertThat(out).isEqualTo(words(expected));
    }

    @Test
    void wordsCarryWhatTheDocumentationSays() {
        long seed = 0x0123456789abcdefL;
        long stream = 0xfedcba9876543210L;
        int[] out = new int[4];
        Philox.block(seed, 5, stream, out);
        assertThat(Philox.uniform(seed, stream, 22)).isEqualTo((out[2] >>> 8) / (float) (1 << 24));
        assertThat(Philox.bits(seed, stream, 11)).isEqualTo(pair(out[2], out[3]));
        assertThat(Philox.uniformDouble(seed, stream, 10)).isEqualTo((pair(out[0], out[1]) >>> 11) * 0x1p-53);
        double radius = Math.sqrt(-2 * Math.log(1 - Philox.uniformDouble(seed, stream, 10)));
        double angle = 2 * Math.PI * Philox.uniformDouble(seed, stream, 11);
        assertThat(Philox.normal(seed, stream, 10)).isCloseTo(radius * Math.cos(angle), within(1e-14));
        assertThat(Philox.normal(seed, stream, 11)).isCloseTo(radius * Math.sin(angle), within(1e-14));
    }

    @Property(tries = 1000)
    void aPieceHasTheNumbersOfTheWhole(@ForAll long seed, @ForAll long first,
            @ForAll @IntRange(min = 0, max = 40) int count) {
        long stream = ~seed;
        float[] uniform = new float[count];
        double[] normal = new double[count];
        Philox.fillUniform(seed, stream, first, uniform);
        Philox.fillNormal(seed, stream, first, normal);
        for (int i = 0; i < count; i++) {
            assertThat(uniform[i]).isEqualTo(Philox.uniform(seed, stream, first + i)).isBetween(0f, 0x1.fffffep-1f);
            assertThat(normal[i]).isEqualTo(Philox.normal(seed, stream, first + i)).isBetween(-8.6, 8.6);
        }
    }

    @Test
    void normalNumbersHaveTheMomentsOfTheNormalDistribution() {
        int n = 200_000;
        double[] x = new double[n];
        Philox.fillNormal(42, 7, 0, x);
        // Six standard errors of each moment's estimate.
        double error = 6 / Math.sqrt(n);
        assertThat(mean(x, 1)).isCloseTo(0, within(error));
        assertThat(mean(x, 2)).isCloseTo(1, within(error * Math.sqrt(2)));
        assertThat(mean(x, 3)).isCloseTo(0, within(error * Math.sqrt(15)));
        assertThat(mean(x, 4)).isCloseTo(3, within(error * Math.sqrt(96)));
        double neighbours = IntStream.range(0, n - 1).mapToDouble(i -> x[i] * x[i + 1]).average().orElseThrow();
        assertThat(neighbours).isCloseTo(0, within(error));
    }

    @Test
    void uniformNumbersFillEveryCellAlike() {
        int n = 160_000;
        int[] cells = new int[16];
        float[] x = new float[n];
        Philox.fillUniform(1, 2, 3, x);
        for (float value : x) {
            cells[(int) (value * cells.length)]++;
        }
        double chiSquared = Arrays.stream(cells).mapToDouble(c -> Math.pow(c - 1e4, 2) / 1e4).sum();
        // 15 degrees of freedom: beyond 44 lies one in ten thousand; the seed is fixed.
        assertThat(chiSquared).isLessThan(44);
    }

    @Test
    void seedsAndStreamsGiveDifferentNumbers() {
        assertThat(IntStream.range(0, 1000).mapToObj(i -> Philox.bits(i, 0, 0)).distinct()).hasSize(1000);
        assertThat(IntStream.range(0, 1000).mapToObj(i -> Philox.bits(0, i, 0)).distinct()).hasSize(1000);
        assertThat(Philox.bits(1, 0, 0)).isNotEqualTo(Philox.bits(0, 1, 0));
        assertThat(Philox.bits(0, 1L << 32, 0)).isNotEqualTo(Philox.bits(0, 0, 0));
    }

    @Property(tries = 300)
    void boundedNumbersStayBelowTheBound(@ForAll long index, @ForAll long anyBound) {
        long bound = (anyBound & Long.MAX_VALUE) + (anyBound == 0 || anyBound == Long.MIN_VALUE ? 1 : 0);
        assertThat(Philox.nextLong(8, 0, index, bound)).isBetween(0L, bound - 1);
    }

    @Test
    void boundedNumbersAreUnbiasedWhereAModuloWouldNotBe() {
        // With bound 3/4 of 2^63, taking 63 bits modulo the bound would favour the lower third two to one.
        long bound = (1L << 62) + (1L << 61);
        int n = 30_000;
        long low = IntStream.range(0, n).filter(i -> Philox.nextLong(9, 9, i, bound) < bound / 3).count();
        assertThat((double) low / n).isCloseTo(1.0 / 3, within(6 * Math.sqrt(2.0 / 9 / n)));
    }

    @Test
    void aBoundMustBePositive() {
        assertThatThrownBy(() -> Philox.nextInt(0, 0, 0, 0)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("bound 0");
    }

    @Property(tries = 100)
    void aPermutationHoldsEveryNumberOnce(@ForAll long seed, @ForAll @IntRange(min = 0, max = 300) int n) {
        int[] order = Philox.permutation(seed, 3, n);
        assertThat(order).isEqualTo(Philox.permutation(seed, 3, n));
        assertThat(Arrays.stream(order).sorted().toArray()).isEqualTo(IntStream.range(0, n).toArray());
    }

    @Test
    void everyPermutationOfThreeIsAsLikely() {
        int n = 12_000;
        int[] counts = new int[27];
        for (int seed = 0; seed < n; seed++) {
            int[] p = Philox.permutation(seed, 0, 3);
            counts[9 * p[0] + 3 * p[1] + p[2]]++;
        }
        int[] seen = Arrays.stream(counts).filter(c -> c > 0).toArray();
        assertThat(seen).hasSize(6);
        assertThat(Arrays.stream(seen).min().getAsInt()).isGreaterThan(1800);
        assertThat(Arrays.stream(seen).max().getAsInt()).isLessThan(2200);
    }

    @Test
    void aSavedPositionGoesOnWithTheSameNumbers() {
        PhiloxRandom random = new PhiloxRandom(5, 6);
        random.nextLong();
        random.nextInt(10);
        random.nextGaussian();
        PhiloxRandom resumed = new PhiloxRandom(5, 6, random.position());
        assertThat(resumed.nextFloat()).isEqualTo(random.nextFloat());
        assertThat(resumed.nextDouble()).isEqualTo(random.nextDouble());
        assertThat(resumed.nextGaussian()).isEqualTo(random.nextGaussian());
        assertThat(resumed.nextInt(1000)).isEqualTo(random.nextInt(1000));
        assertThat(resumed.position()).isEqualTo(random.position());
    }

    @Property(tries = 2000)
    void ownLogarithmAndCircleFunctionsAreAccurate(@ForAll long bits) {
        double u = (bits >>> 11) * 0x1p-53;
        double ln = StrictMath.log(1 - u);
        assertThat(BoxMuller.ln(1 - u)).isCloseTo(ln, within(1e-15 * Math.max(1, Math.abs(ln))));
        assertThat(BoxMuller.cosTurn(u)).isCloseTo(StrictMath.cos(2 * Math.PI * u), within(2e-15));
        assertThat(BoxMuller.sinTurn(u)).isCloseTo(StrictMath.sin(2 * Math.PI * u), within(2e-15));
    }

    @Test
    void quarterTurnsAreExact() {
        assertThat(BoxMuller.cosTurn(0)).isEqualTo(1);
        assertThat(BoxMuller.cosTurn(0.25)).isZero();
        assertThat(BoxMuller.sinTurn(0.5)).isZero();
        assertThat(BoxMuller.sinTurn(0.75)).isEqualTo(-1);
        assertThat(BoxMuller.radius(0)).isZero();
    }

    private static double mean(double[] x, int power) {
        return Arrays.stream(x).map(v -> Math.pow(v, power)).average().orElseThrow();
    }

    private static int[] words(String hex) {
        return Arrays.stream(hex.split(" ")).mapToInt(w -> Integer.parseUnsignedInt(w, 16)).toArray();
    }

    private static long pair(int low, int high) {
        return Integer.toUnsignedLong(low) | ((long) high << 32);
    }
}
