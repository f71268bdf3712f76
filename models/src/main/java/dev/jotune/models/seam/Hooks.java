package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What one attached adapter hangs on a model's seams.
 *
 * @param name the adapter's name within the model
 * @param projections by module path, of linear layers and of tables
 * @param overrides own copies of weights, by parameter path: trained biases, {@code modules_to_save}
 * @param segments added to every attention
 * @param virtualTokens put before an input, by the name of the embedding site
 * @param taps by activation name
 */
public record Hooks(String name, Map<String, Projection> projections, Map<String, Var> overrides,
        Optional<SegmentSource> segments, Map<String, VirtualTokens> virtualTokens, Map<String, Tap> taps) {
    public Hooks {
        // Copies that keep the order: what is merged, printed or refused first does not depend on the run.
        projections = Collections.unmodifiableMap(new LinkedHashMap<>(projections));
        overrides = Collections.unmodifiableMap(new LinkedHashMap<>(overrides));
        virtualTokens = Collections.unmodifiableMap(new LinkedHashMap<>(virtualTokens));
        taps = Collections.unmodifiableMap(new LinkedHashMap<>(taps));
    }

    /** These hooks with copies of weights beside them. */
    public Hooks withOverrides(Map<String, Var> copies) {
        return new Hooks(name, projections, copies, segments, virtualTokens, taps);
    }

    /** Only taps: for recording or steering activations. */
    public static Hooks ofTaps(String name, Map<String, Tap> taps) {
        return new Hooks(name, Map.of(), Map.of(), Optional.empty(), Map.of(), taps);
    }
}
