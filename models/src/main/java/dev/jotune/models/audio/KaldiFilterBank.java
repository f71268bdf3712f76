package dev.jotune.models.audio;

import dev.jotune.models.Config;

/**
 * The features of the Audio Spectrogram Transformer (arXiv 2104.01778, section 2.1), Kaldi's filter bank: frames of
 * 25 ms every 10 ms of the waveform as it is, each with its mean removed, pre-emphasised and under a symmetric Hann
 * window; the natural logarithm of the mel power; cut or filled with zeros to a fixed number of frames; then
 * {@code (x - mean) / (2 std)}, which also shifts the zeros.
 *
 * @param bands mel bands of a frame
 * @param frames number that every spectrogram is brought to
 * @param normalise whether mean and std are applied
 */
public record KaldiFilterBank(int samplingRate, int bands, int frames, boolean normalise, double mean, double std, MelFilters filters)
        implements AudioFeatures {
    private static final int FRAME = 400;
    private static final int HOP = 160;
    private static final int TRANSFORM = 512;
    private static final double PRE_EMPHASIS = 0.97;
    /** The spacing of single precision at 1. */
    private static final double FLOOR = 0x1p-23;

    /** The features of a {@code preprocessor_config.json} of the Audio Spectrogram Transformer. */
    static KaldiFilterBank read(Config c) {
        int rate = c.size("sampling_rate", 16000);
        int bands = c.size("num_mel_bins", 128);
        KaldiFilterBank out = new KaldiFilterBank(rate, bands, c.size("max_length", 1024), c.flag("do_normalize", true),
                c.number("mean", -4.2677393), c.number("std", 4.5689974), MelFilters.kaldi(bands, TRANSFORM, rate));
        c.finish(Frames.HARMLESS);
        return out;
    }

    /** {@code [frame][mel]}. */
    @Override
    public double[][] of(float[] waveform) {
        double[] window = Frames.hann(FRAME, FRAME - 1);
        Fourier fourier = new Fourier(TRANSFORM);
        double[][] out = new double[frames][bands];
        for (int t = 0; t < frames && t * HOP + FRAME <= waveform.length; t++) {
            double[] mel = filters.apply(fourier.power(frame(waveform, t * HOP, window)));
            for (int m = 0; m < bands; m++) {
                out[t][m] = Math.log(Math.max(mel[m], FLOOR));
            }
        }
        if (normalise) {
            for (double[] row : out) {
                for (int m = 0; m < bands; m++) {
                    row[m] = (row[m] - mean) / (2 * std);
                }
            }
        }
        return out;
    }

    private static double[] frame(float[] waveform, int from, double[] window) {
        double mean = 0;
        for (int i = 0; i < FRAME; i++) {
            mean += waveform[from + i];
        }
        mean /= FRAME;
        double[] out = new double[TRANSFORM];
        for (int i = 0; i < FRAME; i++) {
            // The first sample has no predecessor and stands in for it.
            double before = waveform[from + Math.max(0, i - 1)] - mean;
            out[i] = (waveform[from + i] - mean - PRE_EMPHASIS * before) * window[i];
        }
        return out;
    }
}
