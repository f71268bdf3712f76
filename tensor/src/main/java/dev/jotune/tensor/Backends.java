package dev.jotune.tensor;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/** The registry of backends: the only global state. Filled once, with {@link ServiceLoader}. */
public final class Backends {
    private Backends() {}

    private static final class Holder {
        static final List<BackendProvider> PROVIDERS = new ArrayList<>();
        static final Map<String, Backend> ALL = new LinkedHashMap<>();

        static {
            ServiceLoader.load(BackendProvider.class, BackendProvider.class.getClassLoader()).forEach(PROVIDERS::add);
            PROVIDERS.sort(Comparator.comparingInt(BackendProvider::priority).reversed());
            for (BackendProvider p : PROVIDERS) {
                for (Backend b : p.backends()) {
                    ALL.put(b.name(), b);
                }
            }
        }
    }

    /** Every backend that works here, the default first. */
    public static List<Backend> all() {
        return List.copyOf(Holder.ALL.values());
    }

    /** Every provider found, working or not, in the order of priority. */
    public static List<BackendProvider> providers() {
        return List.copyOf(Holder.PROVIDERS);
    }

    /** The fastest backend that every machine has: the CPU's. */
    public static Backend cpu() {
        return get("cpu");
    }

    /** The plain scalar backend in double precision that all others are checked against. */
    public static Backend reference() {
        return get("reference");
    }

    /**
     * A backend by name.
     *
     * @throws IllegalArgumentException listing the names there are
     */
    public static Backend get(String name) {
        Backend b = Holder.ALL.get(name);
        if (b == null) {
            throw new IllegalArgumentException("there is no device '" + name + "'. Available: " + Holder.ALL.keySet()
                    + "; 'jotune devices' says why others are missing");
        }
        return b;
    }
}
