package dev.jotune.models.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.util.List;
import org.junit.jupiter.api.Test;

class AudioFeaturesTest {
    private static AudioFeatures read(String json) {
        return AudioFeatures.read(Config.parse(json, "preprocessor_config.json"));
    }

    @Test
    void whisperBringsEverySoundToItsChunk() {
        AudioFeatures whisper = read("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"chunk_length\": 1}");
        float[] tone = tone(20000);
        double[][] all = whisper.of(tone);
        assertThat(all.length).isEqualTo(80);
        assertThat(all[0].length).isEqualTo(100);
        // Samples beyond the chunk do not matter, and neither does silence that is written out.
        assertThat(whisper.of(java.util.Arrays.copyOf(tone, 16000))).isDeepEqualTo(all);
        assertThat(whisper.of(java.util.Arrays.copyOf(tone(9000), 16000))).isDeepEqualTo(whisper.of(tone(9000)));
    }

    @Test
    void aToneIsLoudestInTheBandOfItsPitch() {
        double[][] w = read("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"chunk_length\": 1}").of(tone(16000));
        int loudest = 0;
        for (int m = 0; m < w.length; m++) {
            loudest = w[m][50] > w[loudest][50] ? m : loudest;
        }
        // Slaney's scale reaches 45.245640 mel at 8000 Hz; 440 Hz are 6.6 mel, between 81 steps.
        assertThat((loudest + 1) * 45.245640 / 81).isCloseTo(6.6, within(45.245640 / 81));
    }

    @Test
    void shortSoundsOfTheSpectrogramTransformerEndInNormalisedZeros() {
        AudioFeatures ast = read("{\"feature_extractor_type\": \"ASTFeatureExtractor\", \"max_length\": 12, \"mean\": -4, \"std\": 2}");
        double[][] rows = ast.of(tone(400 + 3 * 160 + 159));
        assertThat(rows).hasDimensions(12, 128);
        for (int t = 0; t < 12; t++) {
            for (double v : rows[t]) {
                assertThat(v == 1).as("frame " + t).isEqualTo(t >= 4);
            }
        }
        assertThat(ast.of(new float[399])[0]).containsOnly(1);
    }

    @Test
    void whatIsNotSupportedIsRefusedByName() {
        refused("{}", "feature_extractor_type ''");
        refused("{\"feature_extractor_type\": \"EncodecFeatureExtractor\"}", "EncodecFeatureExtractor");
        refused("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"dither\": 0.1}", "'dither' 0.1");
        refused("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"do_normalize\": true}", "do_normalize");
        refused("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"n_fft\": 401}", "'n_fft' is 401");
        refused("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"padding_side\": \"left\"}", "padding_side");
        refused("{\"feature_extractor_type\": \"WhisperFeatureExtractor\", \"chunk_length\": 2000000000}", "chunk_length");
        refused("{\"feature_extractor_type\": \"ASTFeatureExtractor\", \"window\": \"hamming\"}", "window");
        AudioFeatures any = read("{\"feature_extractor_type\": \"ASTFeatureExtractor\"}");
        assertThatThrownBy(() -> any.features(Backends.cpu(), DType.F32, List.of())).hasMessageContaining("no waveforms");
    }

    private static void refused(String json, String words) {
        assertThatThrownBy(() -> read(json)).isInstanceOf(ModelException.class).hasMessageContaining(words);
    }

    private static float[] tone(int samples) {
        float[] out = new float[samples];
        for (int i = 0; i < samples; i++) {
            out[i] = (float) Math.sin(2 * Math.PI * 440 * i / 16000);
        }
        return out;
    }
}
