package dev.jotune.models.audio;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;

/** From waveforms to what an audio model reads. */
public sealed interface AudioFeatures permits LogMelSpectrogram, KaldiFilterBank {
    /** Samples a second that a waveform must have. */
    int samplingRate();

    /**
     * The features of one waveform; its length does not matter, for it is cut or filled with silence.
     *
     * @param samples mono, usually in -1 .. 1
     * @return rows as the model reads them: {@code [mel][frame]} for Whisper, {@code [frame][mel]} for the Audio
     *     Spectrogram Transformer
     */
    double[][] of(float[] samples);

    /** The features of B waveforms: {@code [B, mel, frames]} or {@code [B, frames, mel]}, as {@link #of} has them. */
    default Tensor features(Backend backend, DType type, List<float[]> waveforms) {
        if (waveforms.isEmpty()) {
            throw new IllegalArgumentException("there are no waveforms. Pass at least one.");
        }
        double[] all = null;
        int rows = 0;
        int columns = 0;
        int at = 0;
        for (float[] w : waveforms) {
            double[][] one = of(w);
            rows = one.length;
            columns = one[0].length;
            all = all == null ? new double[Math.multiplyExact(waveforms.size(), rows * columns)] : all;
            for (double[] row : one) {
                System.arraycopy(row, 0, all, at, columns);
                at += columns;
            }
        }
        return Tensor.of(backend, type, all, waveforms.size(), rows, columns);
    }

    /**
     * The features of a model folder, from its {@code preprocessor_config.json}.
     *
     * @throws ModelException naming the field that is malformed or not supported
     */
    static AudioFeatures read(Path folder) {
        return read(Config.read(folder.resolve("preprocessor_config.json")));
    }

    /** The features that a configuration asks for by its {@code feature_extractor_type}. */
    static AudioFeatures read(Config c) {
        String type = c.text("feature_extractor_type", "");
        return switch (type) {
            case "WhisperFeatureExtractor" -> LogMelSpectrogram.read(c);
            case "ASTFeatureExtractor" -> KaldiFilterBank.read(c);
            default -> throw new ModelException(c.origin() + ": feature_extractor_type '" + type
                    + "' is not supported. Supported: WhisperFeatureExtractor, ASTFeatureExtractor.");
        };
    }
}
