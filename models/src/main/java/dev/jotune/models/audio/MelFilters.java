package dev.jotune.models.audio;

/**
 * A bank of triangular filters, evenly spaced on the mel scale: how power at each frequency adds up to bands that an
 * ear tells apart.
 *
 * @param weights {@code [frequencies][bands]}
 */
public record MelFilters(double[][] weights) {
    /** Frequency (Hz) to pitch (mel). */
    private enum Scale {
        /** Linear below 1000 Hz, logarithmic above (M. Slaney's Auditory Toolbox, 1998). */
        SLANEY {
            @Override
            double mel(double hertz) {
                return hertz < 1000 ? hertz * 3 / 200 : 15 + Math.log(hertz / 1000) * 27 / Math.log(6.4);
            }

            @Override
            double hertz(double mel) {
                return mel < 15 ? mel * 200 / 3 : 1000 * Math.exp((mel - 15) * Math.log(6.4) / 27);
            }
        },
        /** {@code 1127 ln(1 + f / 700)}, as Kaldi has it. */
        KALDI {
            @Override
            double mel(double hertz) {
                return 1127 * Math.log(1 + hertz / 700);
            }

            @Override
            double hertz(double mel) {
                return 700 * (Math.exp(mel / 1127) - 1);
            }
        };

        abstract double mel(double hertz);

        abstract double hertz(double mel);
    }

    /**
     * Whisper's filters, which are librosa's: triangles over frequency on Slaney's scale from 0 to 8000 Hz, each
     * divided by half its width, rounded to single precision as they are stored.
     *
     * @param transform length of the Fourier transform, which has {@code transform / 2 + 1} frequencies
     */
    public static MelFilters whisper(int bands, int transform, int samplingRate) {
        double[] edges = edges(bands, 0, 8000, Scale.SLANEY);
        double[] corner = java.util.Arrays.stream(edges).map(Scale.SLANEY::hertz).toArray();
        double[] at = new double[transform / 2 + 1];
        for (int k = 0; k < at.length; k++) {
            at[k] = (double) (samplingRate / 2) * k / (at.length - 1);
        }
        double[][] w = triangles(at, corner);
        for (double[] row : w) {
            for (int m = 0; m < bands; m++) {
                row[m] = (float) (row[m] * 2 / (corner[m + 2] - corner[m]));
            }
        }
        return new MelFilters(w);
    }

    /** Kaldi's filters: triangles on the mel axis itself, from 20 Hz to half the sampling rate. */
    public static MelFilters kaldi(int bands, int transform, int samplingRate) {
        double[] at = new double[transform / 2 + 1];
        for (int k = 0; k < at.length; k++) {
            at[k] = Scale.KALDI.mel((double) samplingRate * k / transform);
        }
        return new MelFilters(triangles(at, edges(bands, 20, samplingRate / 2, Scale.KALDI)));
    }

    /** The {@code bands + 2} corners of the triangles, in mel. */
    private static double[] edges(int bands, double from, double to, Scale scale) {
        double low = scale.mel(from);
        double high = scale.mel(to);
        double[] edges = new double[bands + 2];
        for (int i = 0; i < edges.length; i++) {
            edges[i] = low + (high - low) * i / (bands + 1);
        }
        return edges;
    }

    /** Band m rises from corner m to corner m + 1 and falls to corner m + 2. */
    private static double[][] triangles(double[] at, double[] corner) {
        double[][] w = new double[at.length][corner.length - 2];
        for (int k = 0; k < at.length; k++) {
            for (int m = 0; m < corner.length - 2; m++) {
                double up = (at[k] - corner[m]) / (corner[m + 1] - corner[m]);
                double down = (corner[m + 2] - at[k]) / (corner[m + 2] - corner[m + 1]);
                w[k][m] = Math.max(0, Math.min(up, down));
            }
        }
        return w;
    }

    /** The power of each band from the power of each frequency. */
    public double[] apply(double[] power) {
        double[] out = new double[weights[0].length];
        for (int k = 0; k < power.length; k++) {
            for (int m = 0; m < out.length; m++) {
                out[m] += weights[k][m] * power[k];
            }
        }
        return out;
    }
}
