package dev.jotune.autograd.optim;

import java.util.LinkedHashMap;
import java.util.Map;

/** Prefixes of saved names. */
final class StateNames {
    private StateNames() {}

    /** The entries whose names begin with {@code prefix}, without it. */
    static <T> Map<String, T> below(Map<String, T> all, String prefix) {
        Map<String, T> own = new LinkedHashMap<>();
        all.forEach((name, t) -> {
            if (name.startsWith(prefix)) {
                own.put(name.substring(prefix.length()), t);
            }
        });
        return own;
    }
}
