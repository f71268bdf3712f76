package dev.jotune.peft;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jotune.autograd.Var;
import dev.jotune.models.Forecaster;
import dev.jotune.models.Series;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Forecasters: their forecasts, in the series' own units. The golden set has none, so a checkpoint is made here. */
record ForecastProbe(Forecaster model) implements Specimen.Probe {
    private static final int CHANNELS = 2;
    private static final int PATCH = 8;
    private static final int PATCHES = 4;
    private static final int WIDTH = 16;
    private static final int DECODER_WIDTH = 8;
    private static final int HORIZON = 6;
    private static final String CONFIG = """
            {"model_type": "tinytimemixer", "context_length": %d, "patch_length": %d, "patch_stride": %d, "d_model": %d,
             "adaptive_patching_levels": 2, "num_layers": 1, "expansion_factor": 2, "decoder_d_model": %d, "decoder_num_layers": 1,
             "gated_attn": true, "norm_eps": 1e-5, "scaling": "std", "prediction_length": %d, "loss": "mse"}"""
            .formatted(PATCH * PATCHES, PATCH, PATCH, WIDTH, DECODER_WIDTH, HORIZON);

    /** A Tiny Time Mixer of a few thousand random weights, written once for the whole run. */
    private static final class Made {
        static final Golden.Case CASE = write();

        private static Golden.Case write() {
            try {
                Path folder = Files.createTempDirectory("tiny-ttm");
                Files.writeString(folder.resolve("config.json"), CONFIG);
                SafeTensorsWriter.writeTensors(folder.resolve("model.safetensors"), weights(), Map.of());
                return new Golden.Case(folder, JsonMapper.builder().build().readTree("{\"id\": \"ttm\", \"model_type\": \"tinytimemixer\"}"));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    static Golden.Case golden() {
        return Made.CASE;
    }

    private static Map<String, Tensor> weights() {
        Map<String, Tensor> out = new LinkedHashMap<>();
        linear(out, "backbone.encoder.patcher", WIDTH, PATCH);
        mixer(out, "backbone.encoder.mlp_mixer_encoder.mixers.0.mixer_layers.0", 2 * PATCHES, WIDTH / 2);
        mixer(out, "backbone.encoder.mlp_mixer_encoder.mixers.1.mixer_layers.0", PATCHES, WIDTH);
        linear(out, "decoder.adapter", DECODER_WIDTH, WIDTH);
        mixer(out, "decoder.decoder_block.mixers.0", PATCHES, DECODER_WIDTH);
        linear(out, "head.base_forecast_block", HORIZON, PATCHES * DECODER_WIDTH);
        return out;
    }

    private static void mixer(Map<String, Tensor> out, String path, int patches, int width) {
        for (String part : new String[] {".patch_mixer", ".feature_mixer"}) {
            int size = part.equals(".patch_mixer") ? patches : width;
            add(out, path + part + ".norm.norm.weight", 1, 0.2, width);
            add(out, path + part + ".norm.norm.bias", 0, 0.2, width);
            linear(out, path + part + ".mlp.fc1", 2 * size, size);
            linear(out, path + part + ".mlp.fc2", size, 2 * size);
            linear(out, path + part + ".gating_block.attn_layer", size, size);
        }
    }

    private static void linear(Map<String, Tensor> out, String path, int rows, int columns) {
        add(out, path + ".weight", 0, 1.2 / Math.sqrt(columns), rows, columns);
        add(out, path + ".bias", 0, 0.2, rows);
    }

    private static void add(Map<String, Tensor> out, String name, double mean, double deviation, long... shape) {
        double[] values = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Arrays.setAll(values, i -> mean + deviation * Philox.normal(5, name.hashCode(), i));
        out.put(name, Tensor.of(Backends.cpu(), DType.F32, values, shape));
    }

    /** Steps {@code from ..} of rows by number. */
    private Series series(List<Integer> rows, int from, int time) {
        double[] values = new double[rows.size() * time * CHANNELS];
        Arrays.setAll(values, i -> {
            int row = rows.get(i / (time * CHANNELS));
            int step = from + i / CHANNELS % time;
            return row + Math.sin(0.7 * step + row + i % CHANNELS) + 0.3 * Philox.normal(12, row, (long) step * CHANNELS + i % CHANNELS);
        });
        return Series.of(Tensor.of(model.backend(), model.computeType(), values, rows.size(), time, CHANNELS));
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        return model.forecast(series(rows, 0, model.contextLength()), pass);
    }

    @Override
    public Var loss(Pass pass) {
        return model.loss(series(Specimen.BATCH, 0, model.contextLength()), series(Specimen.BATCH, model.contextLength(), model.horizon()), pass);
    }
}
