package dev.jotune.models.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FourierTest {
    @ParameterizedTest
    @ValueSource(ints = {2, 4, 6, 14, 26, 30, 98, 400, 512})
    void powersAreThoseOfTheDefinition(int n) {
        Random random = new Random(n);
        double[] x = random.doubles(n, -1, 1).toArray();
        double[] want = new double[n / 2 + 1];
        for (int k = 0; k < want.length; k++) {
            double re = 0;
            double im = 0;
            for (int t = 0; t < n; t++) {
                re += x[t] * Math.cos(2 * Math.PI * ((long) k * t % n) / n);
                im -= x[t] * Math.sin(2 * Math.PI * ((long) k * t % n) / n);
            }
            want[k] = re * re + im * im;
        }
        assertThat(new Fourier(n).power(x)).containsExactly(want, within(1e-11 * n));
    }

    @Test
    void oddLengthsAreRefused() {
        assertThatThrownBy(() -> new Fourier(7)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("length 7");
    }
}
