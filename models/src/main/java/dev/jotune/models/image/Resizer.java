package dev.jotune.models.image;

/**
 * Resizing as Pillow does it, bit for bit: a filter as wide as the shrinking asks for (antialiasing), weights in fixed
 * point, first along rows, then along columns, and 8 bits after each of the two.
 */
final class Resizer {
    /** Bits behind the point of a weight: 8 of the pixel and 2 of headroom are left of an int's 32. */
    private static final int BITS = 32 - 8 - 2;

    private Resizer() {}

    static RgbImage resize(RgbImage image, int height, int width, Resample filter) {
        if (filter == Resample.NEAREST) {
            return nearest(image, height, width);
        }
        byte[] rows = along(image.pixels(), image.height(), image.width(), width, 3, filter);
        return new RgbImage(height, width, along(rows, 1, image.height(), height, 3 * width, filter));
    }

    /** Output pixel i is the weighted sum of the input pixels {@code first[i] ..}, with weights {@code weight[i]}. */
    private record Taps(int[] first, int[][] weight) {
        static Taps of(int in, int out, Resample filter) {
            double scale = (double) in / out;
            double stretch = Math.max(1, scale);
            double support = filter.support * stretch;
            int[] first = new int[out];
            int[][] weight = new int[out][];
            for (int i = 0; i < out; i++) {
                double centre = (i + 0.5) * scale;
                first[i] = Math.max(0, (int) (centre - support + 0.5));
                double[] w = new double[Math.min(in, (int) (centre + support + 0.5)) - first[i]];
                double total = 0;
                for (int k = 0; k < w.length; k++) {
                    // A multiplication by the inverse, as Pillow has it: a division would round differently.
                    w[k] = filter.at((k + first[i] - centre + 0.5) * (1 / stretch));
                    total += w[k];
                }
                weight[i] = new int[w.length];
                for (int k = 0; k < w.length; k++) {
                    double exact = (total == 0 ? w[k] : w[k] / total) * (1 << BITS);
                    weight[i][k] = (int) (exact < 0 ? exact - 0.5 : exact + 0.5);
                }
            }
            return new Taps(first, weight);
        }
    }

    /** {@code [outer, in, inner] -> [outer, out, inner]}. */
    private static byte[] along(byte[] from, int outer, int in, int out, int inner, Resample filter) {
        if (in == out) {
            return from;
        }
        Taps taps = Taps.of(in, out, filter);
        byte[] to = new byte[Math.multiplyExact(outer * out, inner)];
        int[] sum = new int[inner];
        for (int o = 0; o < outer; o++) {
            for (int i = 0; i < out; i++) {
                java.util.Arrays.fill(sum, 1 << BITS - 1);
                int at = (o * in + taps.first[i]) * inner;
                for (int w : taps.weight[i]) {
                    for (int c = 0; c < inner; c++, at++) {
                        sum[c] += w * (from[at] & 0xff);
                    }
                }
                for (int c = 0; c < inner; c++) {
                    to[(o * out + i) * inner + c] = (byte) Math.clamp(sum[c] >> BITS, 0, 255);
                }
            }
        }
        return to;
    }

    private static RgbImage nearest(RgbImage image, int height, int width) {
        int[] fromY = nearest(image.height(), height);
        int[] fromX = nearest(image.width(), width);
        byte[] out = new byte[3 * height * width];
        for (int y = 0, at = 0; y < height; y++) {
            for (int x = 0; x < width; x++, at += 3) {
                System.arraycopy(image.pixels(), 3 * (fromY[y] * image.width() + fromX[x]), out, at, 3);
            }
        }
        return new RgbImage(height, width, out);
    }

    private static int[] nearest(int in, int out) {
        int[] from = new int[out];
        double scale = (double) in / out;
        double at = scale * 0.5;
        for (int i = 0; i < out; i++) {
            from[i] = Math.min(in - 1, (int) at);
            // Added up, as Pillow does: where the sum falls on the edge of a pixel its rounding decides.
            at += scale;
        }
        return from;
    }
}
