package dev.jotune.models.image;

/** The filters of Pillow's resize; the order is that of the numbers in {@code preprocessor_config.json}. */
public enum Resample {
    NEAREST(0),
    LANCZOS(3),
    BILINEAR(1),
    BICUBIC(2),
    BOX(0.5),
    HAMMING(1);

    /** Half the width of the filter, in pixels of the smaller picture. */
    final double support;

    Resample(double support) {
        this.support = support;
    }

    /** The filter at a distance {@code x} from its centre. */
    double at(double x) {
        double d = Math.abs(x);
        return switch (this) {
            case NEAREST -> throw new IllegalStateException("the nearest pixel is looked up, not weighed");
            case BOX -> x > -0.5 && x <= 0.5 ? 1 : 0;
            case BILINEAR -> Math.max(0, 1 - d);
            case BICUBIC -> cubic(d);
            case HAMMING -> d >= 1 ? 0 : sinc(d) * (0.54 + 0.46 * Math.cos(Math.PI * d));
            case LANCZOS -> d < 3 ? sinc(d) * sinc(d / 3) : 0;
        };
    }

    /** Keys' cubic convolution (IEEE Trans. ASSP 29, 1981) with a = -0.5. */
    private static double cubic(double d) {
        double a = -0.5;
        if (d < 1) {
            return ((a + 2) * d - (a + 3)) * d * d + 1;
        }
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    }

    private static double sinc(double x) {
        return x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    }
}
