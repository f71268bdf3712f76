package dev.jotune.models.audio;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import java.util.Arrays;

/**
 * Whisper's features (arXiv 2212.04356, section 2.2; details as OpenAI's code and transformers have them): the
 * waveform is cut or filled with silence to a fixed length, mirrored by half a frame at both ends, and cut into frames
 * under a periodic Hann window; then {@code log10} of the mel power, floored at 8 below the largest of the utterance,
 * {@code (x + 4) / 4}.
 *
 * @param bands mel bands of a frame
 * @param frame samples of a frame, which is also the length of the Fourier transform
 * @param hop samples between the starts of two frames
 * @param samples length that every waveform is brought to
 */
public record LogMelSpectrogram(int samplingRate, int bands, int frame, int hop, int samples, MelFilters filters,
        double paddingValue) implements AudioFeatures {

    /** The features of a {@code preprocessor_config.json} of Whisper. */
    static LogMelSpectrogram read(Config c) {
        if (c.flag("do_normalize", false)) {
            throw new ModelException(c.origin() + ": 'do_normalize' is not supported for Whisper. Set it to false.");
        }
        if (c.number("dither", 0) != 0) {
            throw new ModelException(c.origin() + ": 'dither' " + c.number("dither", 0) + " is not supported. Set it to 0.");
        }
        if (!c.text("padding_side", "right").equals("right")) {
            throw new ModelException(c.origin() + ": 'padding_side' is not supported but for \"right\".");
        }
        int rate = c.size("sampling_rate", 16000);
        int frame = c.size("n_fft", 400);
        int bands = c.size("feature_size", 80);
        long samples = (long) c.size("chunk_length", 30) * rate;
        if (samples > Integer.MAX_VALUE / 4) {
            throw new ModelException(c.origin() + ": 'chunk_length' and 'sampling_rate' make " + samples
                    + " samples. Cut sounds into shorter chunks.");
        }
        if (frame % 2 != 0 || samples <= frame / 2) {
            throw new ModelException(c.origin() + ": 'n_fft' is " + frame + ", expected an even number below twice the "
                    + samples + " samples of a chunk.");
        }
        LogMelSpectrogram out = new LogMelSpectrogram(rate, bands, frame, c.size("hop_length", 160), (int) samples,
                MelFilters.whisper(bands, frame, rate), c.number("padding_value", 0));
        c.finish(Frames.HARMLESS);
        return out;
    }

    /** Frames of a chunk. */
    public int frames() {
        return samples / hop;
    }

    /** {@code [mel][frame]}. */
    @Override
    public double[][] of(float[] waveform) {
        double[] window = Frames.hann(frame, frame);
        Fourier fourier = new Fourier(frame);
        double[][] out = new double[bands][frames()];
        double largest = Double.NEGATIVE_INFINITY;
        double[] cut = new double[frame];
        // The frame that would be centred on the end of the chunk is left out.
        for (int t = 0; t < frames(); t++) {
            for (int i = 0; i < frame; i++) {
                cut[i] = window[i] * sample(waveform, t * hop + i - frame / 2);
            }
            double[] mel = filters.apply(fourier.power(cut));
            for (int m = 0; m < bands; m++) {
                out[m][t] = Math.log10(Math.max(mel[m], 1e-10));
                largest = Math.max(largest, out[m][t]);
            }
        }
        double floor = largest - 8;
        for (double[] row : out) {
            Arrays.setAll(row, t -> (Math.max(row[t], floor) + 4) / 4);
        }
        return out;
    }

    /** The sample at {@code i}, mirrored at both ends of the chunk. */
    private double sample(float[] waveform, int i) {
        int inside = i < 0 ? -i : i >= samples ? 2 * samples - 2 - i : i;
        return inside < waveform.length ? waveform[inside] : paddingValue;
    }
}
