package dev.jotune.models.llama;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * The angles of rotary embedding: {@code angle = position * inverseFrequency[i]}, cos and sin times a factor.
 *
 * @param inverseFrequencies one for each pair of features
 * @param attentionScaling factor of cos and sin (YaRN), else 1
 */
public record RopeScaling(double[] inverseFrequencies, double attentionScaling) {

    /**
     * Reads {@code rope_parameters} (transformers 5) or {@code rope_theta} and {@code rope_scaling} (transformers 4).
     *
     * @throws ModelException for a scaling that is not known, by name
     */
    public static RopeScaling read(Config config, int headDim, int contextLength) {
        Config rope = config.has("rope_parameters") ? config.child("rope_parameters") : config.child("rope_scaling");
        double theta = rope.number("rope_theta", config.number("rope_theta", 10000.0));
        String type = rope.text("rope_type", rope.text("type", "default"));
        double partial = rope.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0));
        int rotary = (int) (headDim * partial);
        double[] plain = new double[rotary / 2];
        for (int i = 0; i < plain.length; i++) {
            plain[i] = Math.pow(theta, -2.0 * i / rotary);
        }
        return switch (type) {
            case "default" -> new RopeScaling(plain, 1);
            case "linear" -> new RopeScaling(divided(plain, rope.number("factor", 1)), 1);
            case "llama3" -> new RopeScaling(llama3(plain, rope), 1);
            case "yarn" -> yarn(plain, rope, theta, rotary, contextLength);
            default -> throw new ModelException(config.origin() + ": rope_type '" + type
                    + "' is not supported. Supported: default, linear, llama3, yarn.");
        };
    }

    /** Position interpolation (Chen et al., arXiv 2306.15595). */
    private static double[] divided(double[] f, double factor) {
        return Arrays.stream(f).map(x -> x / factor).toArray();
    }

    /** Llama 3.1: long waves are stretched, short ones kept, those between blended (arXiv 2407.21783, section 3.2). */
    private static double[] llama3(double[] f, Config rope) {
        double factor = rope.number("factor", 8);
        double low = rope.number("low_freq_factor", 1);
        double high = rope.number("high_freq_factor", 4);
        double original = rope.number("original_max_position_embeddings", 8192);
        return Arrays.stream(f).map(x -> {
            double wave = 2 * Math.PI / x;
            if (wave < original / high) {
                return x;
            }
            if (wave > original / low) {
                return x / factor;
            }
            double smooth = (original / wave - low) / (high - low);
            return (1 - smooth) * x / factor + smooth * x;
        }).toArray();
    }

    /** YaRN (Peng et al., arXiv 2309.00071): NTK-by-parts interpolation and a temperature on attention. */
    private static RopeScaling yarn(double[] f, Config rope, double theta, int rotary, int contextLength) {
        double original = rope.number("original_max_position_embeddings", contextLength);
        double factor = rope.has("factor") ? rope.number("factor", 1) : contextLength / original;
        double fast = rope.number("beta_fast", 32);
        double slow = rope.number("beta_slow", 1);
        double from = correction(fast, theta, rotary, original);
        double to = correction(slow, theta, rotary, original);
        if (rope.flag("truncate", true)) {
            from = Math.floor(from);
            to = Math.ceil(to);
        }
        from = Math.max(from, 0);
        to = Math.min(to, rotary - 1.0);
        double span = from == to ? 0.001 : to - from;
        double[] out = new double[f.length];
        for (int i = 0; i < out.length; i++) {
            double ramp = Math.clamp((i - from) / span, 0, 1);
            out[i] = f[i] / factor * ramp + f[i] * (1 - ramp);
        }
        double mscale = rope.number("mscale", 0);
        double mscaleAll = rope.number("mscale_all_dim", 0);
        double scaling = mscale != 0 && mscaleAll != 0 ? temperature(factor, mscale) / temperature(factor, mscaleAll)
                : temperature(factor, 1);
        return new RopeScaling(out, rope.number("attention_factor", scaling));
    }

    /** The pair that turns {@code turns} times within the original context. */
    private static double correction(double turns, double theta, int rotary, double original) {
        return rotary * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
    }

    private static double temperature(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
    }

    /** cos and sin, {@code [B or 1, T, pairs]}. */
    public record Tables(Tensor cos, Tensor sin) {}

    /** Tables for positions {@code [B][T]}; one row where all rows have the same positions. */
    public Tables tables(Backend backend, DType dtype, long[][] positions) {
        int rows = 1;
        for (long[] p : positions) {
            if (!Arrays.equals(p, positions[0])) {
                rows = positions.length;
            }
        }
        int time = positions[0].length;
        int pairs = inverseFrequencies.length;
        double[] cos = new double[rows * time * pairs];
        double[] sin = new double[cos.length];
        for (int b = 0, at = 0; b < rows; b++) {
            for (int t = 0; t < time; t++) {
                for (int i = 0; i < pairs; i++, at++) {
                    double angle = positions[b][t] * inverseFrequencies[i];
                    cos[at] = Math.cos(angle) * attentionScaling;
                    sin[at] = Math.sin(angle) * attentionScaling;
                }
            }
        }
        return new Tables(Tensor.of(backend, dtype, cos, rows, time, pairs), Tensor.of(backend, dtype, sin, rows, time, pairs));
    }
}
