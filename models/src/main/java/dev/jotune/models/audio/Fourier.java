package dev.jotune.models.audio;

/**
 * The discrete Fourier transform of real frames of one even length n: Cooley and Tukey's recursion over the prime
 * factors of n / 2 (Math. Comp. 19, 1965), on the even and odd samples packed into complex numbers. It takes
 * O(n (sum of the factors)) steps, so 400 and 512 are fast alike.
 */
final class Fourier {
    private final int n;
    /** cos and -sin of 2 pi i / n. */
    private final double[] cos;
    private final double[] sin;

    /** @throws IllegalArgumentException if n is odd or below 2 */
    Fourier(int n) {
        if (n < 2 || n % 2 != 0) {
            throw new IllegalArgumentException("a transform of length " + n + " is not supported. Use an even length, such as 400.");
        }
        this.n = n;
        cos = new double[n];
        sin = new double[n];
        for (int i = 0; i < n; i++) {
            cos[i] = Math.cos(2 * Math.PI * i / n);
            sin[i] = -Math.sin(2 * Math.PI * i / n);
        }
    }

    /** {@code |X_k|^2} for k = 0 .. n / 2, with {@code X_k = sum_t x_t e^(-2 pi i k t / n)}. */
    double[] power(double[] frame) {
        int half = n / 2;
        double[] re = new double[half];
        double[] im = new double[half];
        for (int i = 0; i < half; i++) {
            re[i] = frame[2 * i];
            im[i] = frame[2 * i + 1];
        }
        double[][] z = transform(re, im);
        double[] power = new double[half + 1];
        for (int k = 0; k <= half; k++) {
            // z = E + i O, the transforms of the even and the odd samples; both are real, so they come apart by symmetry.
            int a = k % half;
            int b = (half - k) % half;
            double evenRe = (z[0][a] + z[0][b]) / 2;
            double evenIm = (z[1][a] - z[1][b]) / 2;
            double oddRe = (z[1][a] + z[1][b]) / 2;
            double oddIm = (z[0][b] - z[0][a]) / 2;
            double x = evenRe + cos[k] * oddRe - sin[k] * oddIm;
            double y = evenIm + cos[k] * oddIm + sin[k] * oddRe;
            power[k] = x * x + y * y;
        }
        return power;
    }

    /** The complex transform of a length that divides n. */
    private double[][] transform(double[] re, double[] im) {
        int m = re.length;
        if (m == 1) {
            return new double[][] {re, im};
        }
        int p = smallestFactor(m);
        int q = m / p;
        double[][][] parts = new double[p][][];
        for (int r = 0; r < p; r++) {
            double[] partRe = new double[q];
            double[] partIm = new double[q];
            for (int i = 0; i < q; i++) {
                partRe[i] = re[p * i + r];
                partIm[i] = im[p * i + r];
            }
            parts[r] = transform(partRe, partIm);
        }
        double[][] out = new double[2][m];
        int step = n / m;
        for (int k = 0; k < m; k++) {
            for (int r = 0; r < p; r++) {
                int w = (int) ((long) r * k % m) * step;
                double partRe = parts[r][0][k % q];
                double partIm = parts[r][1][k % q];
                out[0][k] += cos[w] * partRe - sin[w] * partIm;
                out[1][k] += cos[w] * partIm + sin[w] * partRe;
            }
        }
        return out;
    }

    private static int smallestFactor(int m) {
        for (int p = 2; p * p <= m; p++) {
            if (m % p == 0) {
                return p;
            }
        }
        return m;
    }
}
