package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.Map;
import java.util.Optional;

/**
 * What one attached adapter hangs on a model's seams.
 *
 * @param name the adapter's name within the model
 * @param projections by module path
 * @param overrides own copies of weights, by parameter path: trained biases, {@code modules_to_save}
 * @param segments added to every attention
 * @param virtualTokens put before the input
 * @param taps by activation name
 */
public record Hooks(String name, Map<String, Projection> projections, Map<String, Var> overrides,
        Optional<SegmentSource> segments, Optional<VirtualTokens> virtualTokens, Map<String, Tap> taps) {
    public Hooks {
        projections = Map.copyOf(projections);
        overrides = Map.copyOf(overrides);
        taps = Map.copyOf(taps);
    }

    /** Only taps: for recording or steering activations. */
    public static Hooks ofTaps(String name, Map<String, Tap> taps) {
        return new Hooks(name, Map.of(), Map.of(), Optional.empty(), Optional.empty(), taps);
    }
}
