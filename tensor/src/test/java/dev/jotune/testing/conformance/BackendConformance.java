package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Every primitive of a backend: the whole suite. */
public final class BackendConformance {
    /** Around the widths of vectors and tiles. */
    static final long[] SIZES = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65};

    private BackendConformance() {}

    /** All cases. */
    public static List<Case> cases() {
        List<Case> all = new ArrayList<>();
        CopyCases.add(all);
        MapCases.add(all);
        ReduceCases.add(all);
        MatmulCases.add(all);
        RowCases.add(all);
        NoiseCases.add(all);
        QuantCases.add(all);
        FrozenCases.add(all);
        GroupedCases.add(all);
        SkinnyCases.add(all);
        return all;
    }

    /** The first of the cases about {@code topic} that {@code backend} fails, with what was wrong. */
    public static Optional<String> firstFailure(Backend backend, String topic) {
        for (Case c : cases()) {
            if (c.name().startsWith(topic)) {
                try {
                    c.run(backend);
                } catch (AssertionError | RuntimeException e) {
                    return Optional.of(c.name() + ": " + e.getMessage());
                }
            }
        }
        return Optional.empty();
    }
}
