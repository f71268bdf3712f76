package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class NormTest {
    private static final double EPS = 1e-3;

    private final Random random = new Random(5);

    @AfterEach
    void free() {
        Buf.freeAll();
    }

    private static void close(double actual, double expected, double tolerance, String name) {
        if (!(Math.abs(actual - expected) <= tolerance)) {
            throw new AssertionError(name + " is " + actual + ", expected " + expected);
        }
    }

    @Test
    void normalisationsAndTheirDerivativesForEveryLength() {
        for (int n = 1; n <= 67; n++) {
            for (boolean layer : new boolean[] {false, true}) {
                norm(layer, 5, n, n % 2 == 0, true);
            }
        }
        norm(false, 3, 20, true, false);
        norm(true, 3, 20, false, false);
        // More rows than one chunk of weight gradients, and rows too long to go in pairs.
        norm(false, 1500, 130, false, true);
        norm(true, 1500, 130, true, true);
        norm(false, 3, 2100, true, true);
        norm(true, 3, 2100, false, true);
    }

    private void norm(boolean layer, int rows, int n, boolean residual, boolean weights) {
        Buf a = Buf.random(rows * n, random);
        Buf r = Buf.random(rows * n, random);
        Buf x = residual ? Buf.empty(rows * n) : a;
        Buf w = Buf.random(n, random);
        Buf b = Buf.random(n, random);
        Buf y = Buf.empty(rows * n);
        Buf mean = Buf.empty(rows);
        Buf rstd = Buf.empty(rows);
        Buf dy = Buf.random(rows * n, random);
        Buf more = Buf.random(rows * n, random);
        Buf dx = Buf.empty(rows * n);
        Buf dw = Buf.empty(n);
        Buf db = Buf.empty(n);
        long rAddress = residual ? r.address() : 0;
        long mAddress = residual ? more.address() : 0;
        long dwAddress = weights ? dw.address() : 0;
        if (layer) {
            Norm.addLayer(a.address(), rAddress, w.address(), b.address(), x.address(), y.address(), mean.address(), rstd.address(),
                    rows, n, EPS);
            Norm.layerBackward(x.address(), w.address(), mean.address(), rstd.address(), dy.address(), mAddress, dx.address(),
                    dwAddress, weights ? db.address() : 0, rows, n);
        } else {
            Norm.addRms(a.address(), rAddress, w.address(), x.address(), y.address(), rows, n, EPS);
            Norm.rmsBackward(x.address(), w.address(), dy.address(), mAddress, dx.address(), dwAddress, rows, n, EPS);
        }
        double[] eW = new double[n];
        double[] eB = new double[n];
        for (int row = 0; row < rows; row++) {
            int at = row * n;
            double average = 0;
            double square = 0;
            for (int i = 0; i < n; i++) {
                assertThat(x.get(at + i)).isEqualTo(residual ? a.get(at + i) + r.get(at + i) : a.get(at + i));
                average += layer ? (double) x.get(at + i) / n : 0;
            }
            for (int i = 0; i < n; i++) {
                square += Math.pow(x.get(at + i) - average, 2) / n;
            }
            double scale = 1 / Math.sqrt(square + EPS);
            double meanG = 0;
            double meanGh = 0;
            for (int i = 0; i < n; i++) {
                double h = (x.get(at + i) - average) * scale;
                double g = (double) dy.get(at + i) * w.get(i);
                meanG += layer ? g / n : 0;
                meanGh += g * h / n;
                eW[i] += dy.get(at + i) * h;
                eB[i] += dy.get(at + i);
                close(y.get(at + i), h * w.get(i) + (layer ? b.get(i) : 0), 1e-5, "y");
            }
            for (int i = 0; i < n; i++) {
                double h = (x.get(at + i) - average) * scale;
                double expected = scale * ((double) dy.get(at + i) * w.get(i) - meanG - h * meanGh) + (residual ? more.get(at + i) : 0);
                close(dx.get(at + i), expected, 1e-5 * Math.max(1, scale), "dx");
            }
        }
        for (int i = 0; i < n; i++) {
            if (weights) {
                close(dw.get(i), eW[i], 3e-4, "dw");
                close(layer ? db.get(i) : eB[i], eB[i], 3e-4, "db");
            } else {
                assertThat(dw.untouched(i)).isTrue();
            }
        }
        for (Buf buf : new Buf[] {x, y, dx, dw, db, mean, rstd}) {
            buf.assertCanaries();
        }
    }

    @Test
    void aRowsResultDoesNotDependOnItsNeighbours() {
        int n = 137;
        Buf x = Buf.random(5 * n, random);
        Buf w = Buf.random(n, random);
        Buf five = Buf.empty(5 * n);
        Buf one = Buf.empty(n);
        Norm.rms(x.address(), w.address(), five.address(), 5, n, EPS);
        for (int row = 0; row < 5; row++) {
            Norm.rms(x.address(row * n), w.address(), one.address(), 1, n, EPS);
            for (int i = 0; i < n; i++) {
                assertThat(one.get(i)).isEqualTo(five.get(row * n + i));
            }
        }
        Norm.layer(x.address(), w.address(), w.address(), five.address(), 0, 0, 5, n, EPS);
        for (int row = 0; row < 5; row++) {
            Norm.layer(x.address(row * n), w.address(), w.address(), one.address(), 0, 0, 1, n, EPS);
            for (int i = 0; i < n; i++) {
                assertThat(one.get(i)).isEqualTo(five.get(row * n + i));
            }
        }
    }

    /** Where a row's mean is most of its square, its deviation comes from a second look at that row. */
    @Test
    void meansFarFromZeroKeepTheDeviationsDigits() {
        int n = 200;
        int rows = 7;
        Buf x = Buf.random(rows * n, random);
        Buf w = Buf.random(n, random);
        Buf y = Buf.empty(rows * n);
        for (int i = 0; i < rows * n; i++) {
            // Every other row: a mean of 400 and a deviation that grows from row to row.
            int row = i / n;
            x.set(i, row % 2 == 0 ? 400 + (1 + row) * x.get(i) : x.get(i));
        }
        Norm.layer(x.address(), w.address(), w.address(), y.address(), 0, 0, rows, n, EPS);
        for (int row = 0; row < rows; row++) {
            double mean = 0;
            for (int i = 0; i < n; i++) {
                mean += (double) x.get(row * n + i) / n;
            }
            double variance = 0;
            for (int i = 0; i < n; i++) {
                variance += Math.pow(x.get(row * n + i) - mean, 2) / n;
            }
            for (int i = 0; i < n; i++) {
                double h = (x.get(row * n + i) - mean) / Math.sqrt(variance + EPS);
                close(y.get(row * n + i), h * w.get(i) + w.get(i), 1e-3, "row " + row);
            }
        }
    }

    @Test
    void aGradientFromElsewhereMayBeOverwrittenByTheSum() {
        int n = 35;
        Buf x = Buf.random(3 * n, random);
        Buf w = Buf.random(n, random);
        Buf dy = Buf.random(3 * n, random);
        Buf more = Buf.random(3 * n, random);
        Buf apart = Buf.empty(3 * n);
        Norm.rmsBackward(x.address(), w.address(), dy.address(), more.address(), apart.address(), 0, 3, n, EPS);
        Norm.rmsBackward(x.address(), w.address(), dy.address(), more.address(), more.address(), 0, 3, n, EPS);
        for (int i = 0; i < 3 * n; i++) {
            assertThat(more.get(i)).isEqualTo(apart.get(i));
        }
    }

    @Test
    void notANumberStaysInItsRow() {
        int n = 19;
        Buf x = Buf.random(4 * n, random);
        Buf w = Buf.random(n, random);
        Buf y = Buf.empty(4 * n);
        x.set(n + 3, Float.NaN);
        Norm.layer(x.address(), w.address(), w.address(), y.address(), 0, 0, 4, n, EPS);
        for (int i = 0; i < 4 * n; i++) {
            assertThat(Float.isNaN(y.get(i))).isEqualTo(i / n == 1);
        }
    }
}
