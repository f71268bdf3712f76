package dev.jotune.models.decoder;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The angles of rotary embedding: {@code angle = position * inverseFrequency[i]}, cos and sin times a factor.
 *
 * @param inverseFrequencies one for each pair of features
 * @param attentionScaling factor of cos and sin (YaRN, LongRoPE), else 1
 * @param longer what takes their place beyond some position (LongRoPE)
 */
public record Rope(List<Double> inverseFrequencies, double attentionScaling, Optional<Longer> longer) {
    /**
     * LongRoPE's second set of frequencies (Ding et al., arXiv 2402.13753), for every position of a batch as soon as one
     * of them is {@code from} or more.
     */
    public record Longer(List<Double> inverseFrequencies, long from) {}

    /** cos and sin, {@code [B or 1, T, pairs]}. */
    public record Tables(Tensor cos, Tensor sin) {}

    /** A head that claims more is refused before memory is taken for its angles. */
    private static final int MOST_FEATURES = 1 << 16;

    /** What the frequencies depend on beside the scaling's own settings. */
    private record Shape(int rotary, double theta, int context, double original) {
        double[] plain() {
            double[] f = new double[rotary / 2];
            Arrays.setAll(f, i -> Math.pow(theta, -2.0 * i / rotary));
            return f;
        }

        /** The pair that turns {@code turns} times within the original context. */
        double correction(double turns) {
            return rotary * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }
    }

    /**
     * Reads {@code rope_parameters} (transformers 5), or {@code rope_theta} and {@code rope_scaling} (transformers 4).
     *
     * @param defaultTheta where the configuration names none
     * @throws ModelException for a scaling or a setting that is not known, by name
     */
    public static Rope read(Config config, double defaultTheta, int headDim, int contextLength) {
        Config rope = config.has("rope_parameters") ? config.child("rope_parameters") : config.child("rope_scaling");
        return read(config, rope, config.number("rope_theta", defaultTheta), headDim, contextLength);
    }

    /**
     * Reads the settings {@code rope} within {@code config}.
     *
     * @param theta where {@code rope} names none
     */
    public static Rope read(Config config, Config rope, double theta, int headDim, int contextLength) {
        String type = rope.text("rope_type", rope.text("type", "default"));
        double partial = rope.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0));
        int rotary = (int) (headDim * partial);
        if (rotary < 2 || rotary > Math.min(headDim, MOST_FEATURES) || rotary % 2 != 0) {
            throw new ModelException(config.origin() + ": partial_rotary_factor " + partial + " of head_dim " + headDim + " makes "
                    + rotary + " rotary features; rotary embedding needs pairs of at most all features, and at most " + MOST_FEATURES + ".");
        }
        // Both places are read, whichever counts: where both are given the outer one does.
        double inner = rope.number("original_max_position_embeddings", contextLength);
        Shape shape = new Shape(rotary, rope.number("rope_theta", theta), contextLength,
                config.number("original_max_position_embeddings", inner));
        Rope out = switch (type) {
            case "default" -> plain(shape.plain(), 1);
            // Position interpolation (Chen et al., arXiv 2306.15595).
            case "linear" -> plain(scaled(shape.plain(), rope.number("factor", 1)), 1);
            case "llama3" -> llama3(shape, rope);
            case "yarn" -> yarn(shape, rope);
            case "longrope", "su" -> longrope(shape, rope);
            default -> throw new ModelException(config.origin() + ": rope_type '" + type
                    + "' is not supported. Supported: default, linear, llama3, yarn, longrope.");
        };
        rope.finish(Set.of("finetuned"));
        return out;
    }

    private static Rope plain(double[] f, double attentionScaling) {
        return new Rope(boxed(f), attentionScaling, Optional.empty());
    }

    private static List<Double> boxed(double[] f) {
        return Arrays.stream(f).boxed().toList();
    }

    private static double[] scaled(double[] f, double factor) {
        return Arrays.stream(f).map(x -> x / factor).toArray();
    }

    /** Llama 3.1: long waves are stretched, short ones kept, those between blended (arXiv 2407.21783, section 3.2). */
    private static Rope llama3(Shape s, Config rope) {
        double factor = rope.number("factor", 8);
        double low = rope.number("low_freq_factor", 1);
        double high = rope.number("high_freq_factor", 4);
        return plain(Arrays.stream(s.plain()).map(x -> {
            double wave = 2 * Math.PI / x;
            if (wave < s.original() / high) {
                return x;
            }
            if (wave > s.original() / low) {
                return x / factor;
            }
            double smooth = (s.original() / wave - low) / (high - low);
            return (1 - smooth) * x / factor + smooth * x;
        }).toArray(), 1);
    }

    /** YaRN (Peng et al., arXiv 2309.00071): NTK-by-parts interpolation and a temperature on attention. */
    private static Rope yarn(Shape s, Config rope) {
        double factor = rope.number("factor", s.context() / s.original());
        double from = s.correction(rope.number("beta_fast", 32));
        double to = s.correction(rope.number("beta_slow", 1));
        if (rope.flag("truncate", true)) {
            from = Math.floor(from);
            to = Math.ceil(to);
        }
        from = Math.max(from, 0);
        to = Math.min(to, s.rotary() - 1.0);
        double span = from == to ? 0.001 : to - from;
        double[] f = s.plain();
        for (int i = 0; i < f.length; i++) {
            double ramp = Math.clamp((i - from) / span, 0, 1);
            f[i] = f[i] / factor * ramp + f[i] * (1 - ramp);
        }
        double mscale = rope.number("mscale", 0);
        double mscaleAll = rope.number("mscale_all_dim", 0);
        double scaling = mscale != 0 && mscaleAll != 0 ? temperature(factor, mscale) / temperature(factor, mscaleAll)
                : temperature(factor, 1);
        return plain(f, rope.number("attention_factor", scaling));
    }

    private static double temperature(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
    }

    private static Rope longrope(Shape s, Config rope) {
        double factor = rope.number("factor", s.context() / s.original());
        double scaling = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(s.original()));
        return new Rope(boxed(stretched(s, rope, "short_factor")), rope.number("attention_factor", scaling),
                Optional.of(new Longer(boxed(stretched(s, rope, "long_factor")), (long) s.original())));
    }

    /** Each frequency divided by its own factor. */
    private static double[] stretched(Shape s, Config rope, String field) {
        double[] factors = rope.numbers(field);
        double[] f = s.plain();
        if (factors.length != f.length) {
            throw new ModelException(rope.origin() + ": '" + field + "' has " + factors.length + " numbers, expected one for each of "
                    + f.length + " pairs of rotary features.");
        }
        Arrays.setAll(f, i -> f[i] / factors[i]);
        return f;
    }

    /** Whether the frequencies depend on how far the text reaches. */
    public boolean dependsOnLength() {
        return longer.isPresent();
    }

    /** Whether the second set of frequencies counts in a batch with positions up to {@code largest}. */
    public boolean isFar(long largest) {
        return longer.isPresent() && largest >= longer.get().from();
    }

    /** cos and sin of one position's angles, into {@code [pairs]}: a row of {@link #tables}, near the start of a text. */
    void angles(long position, float[] cos, float[] sin) {
        for (int i = 0; i < cos.length; i++) {
            double angle = position * inverseFrequencies.get(i);
            cos[i] = (float) (Math.cos(angle) * attentionScaling);
            sin[i] = (float) (Math.sin(angle) * attentionScaling);
        }
    }

    /** Tables for positions {@code [B][T]}; one row where all rows have the same positions. */
    public Tables tables(Backend backend, DType dtype, long[][] positions) {
        int rows = 1;
        long largest = 0;
        for (long[] p : positions) {
            rows = Arrays.equals(p, positions[0]) ? rows : positions.length;
            largest = Math.max(largest, Arrays.stream(p).max().orElse(0));
        }
        double[] frequencies = (isFar(largest) ? longer.get().inverseFrequencies() : inverseFrequencies).stream()
                .mapToDouble(f -> f).toArray();
        int time = positions[0].length;
        int pairs = frequencies.length;
        double[] cos = new double[rows * time * pairs];
        double[] sin = new double[cos.length];
        for (int b = 0, at = 0; b < rows; b++) {
            for (int t = 0; t < time; t++) {
                for (int i = 0; i < pairs; i++, at++) {
                    double angle = positions[b][t] * frequencies[i];
                    cos[at] = Math.cos(angle) * attentionScaling;
                    sin[at] = Math.sin(angle) * attentionScaling;
                }
            }
        }
        return new Tables(Tensor.of(backend, dtype, cos, rows, time, pairs), Tensor.of(backend, dtype, sin, rows, time, pairs));
    }
}
