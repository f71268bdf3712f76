package dev.jotune.models.ttm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.Series;
import dev.jotune.models.seam.Hooks;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Map;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

/** What the published checkpoint does with series that it has never seen. */
class TtmTest {
    private static final int CONTEXT = 1024;
    private static final int HORIZON = 96;
    private static final int ROWS = 32;

    private final Ttm model = TtmFiles.model(Backends.cpu(), DType.F32);

    /** Series of a season, a slow trend and noise, as rows of one channel: values of steps 0 .. CONTEXT + HORIZON. */
    private static double[][] seasonal(int period) {
        double[][] rows = new double[ROWS][CONTEXT + HORIZON];
        for (int b = 0; b < ROWS; b++) {
            double phase = period * Philox.uniformDouble(5, period, b);
            for (int t = 0; t < rows[b].length; t++) {
                rows[b][t] = 20 + Math.sin(2 * Math.PI * (t + phase) / period) + 2e-4 * t + 0.2 * Philox.normal(6, 1000L * period + b, t);
            }
        }
        return rows;
    }

    private static Tensor past(double[][] rows) {
        double[] flat = new double[rows.length * CONTEXT];
        for (int b = 0; b < rows.length; b++) {
            System.arraycopy(rows[b], 0, flat, b * CONTEXT, CONTEXT);
        }
        return Tensor.of(Backends.cpu(), DType.F32, flat, rows.length, CONTEXT, 1);
    }

    private double[] forecast(Tensor past) {
        return Recording.off(() -> model.forecast(Series.of(past), model.seams().inference())).tensor().toDoubleArray();
    }

    /** The mean squared error of a forecast of step {@code h} for row {@code b}, the step being given as their index. */
    private static double error(double[][] rows, IntToDoubleFunction forecast) {
        double sum = 0;
        for (int i = 0; i < ROWS * HORIZON; i++) {
            double miss = forecast.applyAsDouble(i) - rows[i / HORIZON][CONTEXT + i % HORIZON];
            sum += miss * miss;
        }
        return sum / (ROWS * HORIZON);
    }

    /**
     * Without having seen the series, and far better than what needs no model: the days of 15-minute and 10-minute data,
     * as traffic and energy have them, which the checkpoint was trained on. Mean squared errors measured for the two
     * periods: 0.289 and 0.304; of the last value 1.080 and 1.459, of the mean 0.552 and 0.568, of the drift 1.158 and
     * 1.481, of a season of another length 1.635 and 1.687.
     */
    @Test
    void zeroShotForecastsOfDailySeasonsBeatEveryNaiveOne() {
        for (int period : new int[] {96, 144}) {
            double[][] rows = seasonal(period);
            double[] got = forecast(past(rows));
            double ours = error(rows, i -> got[i]);
            double last = error(rows, i -> rows[i / HORIZON][CONTEXT - 1]);
            double mean = error(rows, i -> Arrays.stream(rows[i / HORIZON], 0, CONTEXT).average().orElseThrow());
            double drift = error(rows, i -> rows[i / HORIZON][CONTEXT - 1]
                    + (rows[i / HORIZON][CONTEXT - 1] - rows[i / HORIZON][0]) / (CONTEXT - 1) * (i % HORIZON + 1));
            int wrong = period * 2 / 3;
            double season = error(rows, i -> rows[i / HORIZON][CONTEXT - wrong + i % HORIZON % wrong]);
            assertThat(ours).as("against the last value, %s", last).isLessThan(0.35 * last);
            assertThat(ours).as("against the mean, %s", mean).isLessThan(0.6 * mean);
            assertThat(ours).as("against the drift, %s", drift).isLessThan(0.35 * drift);
            assertThat(ours).as("against the season of another length, %s", season).isLessThan(0.3 * season);
        }
    }

    @Test
    void aForecastHasTheUnitsOfItsSeriesAndIsTheSameEachTime() {
        double[][] rows = seasonal(96);
        double[] base = forecast(past(rows));
        assertThat(forecast(past(rows))).isEqualTo(base);
        for (double[] unit : new double[][] {{100, 0}, {1, -500}, {-3, 7}, {0.1, 1}}) {
            double[][] other = Arrays.stream(rows).map(r -> Arrays.stream(r).map(v -> unit[0] * v + unit[1]).toArray()).toArray(double[][]::new);
            double[] got = forecast(past(other));
            for (int i = 0; i < got.length && unit[0] > 0; i++) {
                assertThat(got[i]).isCloseTo(unit[0] * base[i] + unit[1], within(2e-3 * unit[0] + 1e-5 * Math.abs(unit[1])));
            }
            assertThat(got).doesNotContain(Double.NaN);
        }
    }

    @Test
    void channelsAndRowsDoNotMix() {
        double[][] rows = seasonal(144);
        double[] apart = forecast(past(rows));
        // The same series as the channels of fewer rows.
        Tensor together = past(rows).reshape(ROWS / 4, 4, CONTEXT).transpose(1, 2);
        double[] got = forecast(together);
        for (int b = 0; b < ROWS; b++) {
            for (int h = 0; h < HORIZON; h++) {
                assertThat(got[(b / 4 * HORIZON + h) * 4 + b % 4]).isCloseTo(apart[b * HORIZON + h], within(1e-4));
            }
        }
    }

    @Test
    void ofALongPastTheEndIsReadAndAShortOneIsRefused() {
        Tensor past = past(seasonal(96)).slice(0, 0, 2);
        Tensor before = Tensor.full(past.backend(), past.dtype(), 1e6, 2, 50, 1);
        double[] longer = Recording.off(() -> model.forecast(Series.of(Var.concat(1, Var.constant(before), Var.constant(past))),
                model.seams().inference())).tensor().toDoubleArray();
        assertThat(longer).isEqualTo(forecast(past));
        assertThatThrownBy(() -> forecast(past.slice(1, 1, CONTEXT))).hasMessageContaining("a past of 1023 steps is shorter");
        assertThatThrownBy(() -> Series.of(past.reshape(2, -1))).hasMessageContaining("[B, T, channels]");
        assertThatThrownBy(() -> Series.of(past).withObserved(past.slice(1, 1, CONTEXT))).hasMessageContaining("a mask of the same shape");
        Series future = Series.of(past.slice(1, 0, HORIZON - 1));
        assertThatThrownBy(() -> model.loss(Series.of(past), future, model.seams().inference())).hasMessageContaining("horizon of 96");
    }

    @Test
    void itsSeamsAreLinearLayersAndTaps() {
        assertThat(model.layers()).isEqualTo(8);
        assertThat(model.seams().attentions()).isEmpty();
        assertThat(model.seams().embeddings()).isEmpty();
        assertThatThrownBy(() -> model.seams().input()).hasMessageContaining("no embedding input");
        assertThat(model.seams().projections()).containsKeys("backbone.encoder.patcher", "decoder.adapter", "head.base_forecast_block",
                "backbone.encoder.mlp_mixer_encoder.mixers.2.mixer_layers.1.feature_mixer.gating_block.attn_layer");
        Tensor past = past(seasonal(96)).slice(0, 0, 1);
        double[] base = forecast(past);
        for (String tap : model.seams().taps().keySet()) {
            model.seams().attach(Hooks.ofTaps("twice", Map.of(tap, (_, x, _) -> x.mul(2))));
            assertThat(forecast(past)).as(tap).isNotEqualTo(base);
            model.seams().detach("twice");
        }
        assertThat(forecast(past)).isEqualTo(base);
    }

    @Test
    void settingsThatChangeTheMathematicsAreRefusedByName() throws IOException {
        String json = Files.readString(TtmFiles.file("config.json"));
        for (String field : new String[] {"resolution_prefix_tuning", "self_attn", "decoder_raw_residual"}) {
            refused(json.replace("\"" + field + "\": false", "\"" + field + "\": true"), field + " is true");
        }
        refused(json.replace("\"mode\": \"common_channel\"", "\"mode\": \"mix_channel\""), "mode 'mix_channel'");
        refused(json.replace("\"LayerNorm\"", "\"BatchNorm\""), "norm_mlp 'BatchNorm'");
        refused(json.replace("\"scaling\": \"std\"", "\"scaling\": \"mean\""), "scaling");
        refused(json.replace("\"loss\": \"mse\"", "\"loss\": \"nll\""), "loss 'nll'");
        refused(json.replace("\"num_patches\": 16", "\"num_patches\": 17"), "num_patches 17");
        refused(json.replace("\"prediction_channel_indices\": null", "\"prediction_channel_indices\": [0]"), "prediction_channel_indices");
        refused(json.replace("\"adaptive_patching_levels\": 3", "\"adaptive_patching_levels\": 8"), "adaptive_patching_levels is 8");
        refused(json.replaceFirst("\\{", "{\"categorical_vocab_size_list\": [3],"), "categorical_vocab_size_list");
        TtmConfig shorter = TtmConfig.read(Config.parse(json.replace("\"prediction_filter_length\": null", "\"prediction_filter_length\": 24"), "c"));
        assertThat(shorter.horizon()).isEqualTo(24);
        assertThat(shorter.predictionLength()).isEqualTo(HORIZON);
    }

    private static void refused(String json, String what) {
        assertThatThrownBy(() -> TtmConfig.read(Config.parse(json, "config"))).isInstanceOf(ModelException.class).hasMessageContaining(what);
    }
}
