package dev.jotune.tensor;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The registry of backends: the only global state. Providers are found once, with {@link ServiceLoader}; each is asked for
 * its backends when somebody wants one of its kind, since looking for devices may load drivers.
 */
public final class Backends {
    private static final Map<BackendProvider, List<Backend>> FOUND = new ConcurrentHashMap<>();

    private Backends() {}

    private static final class Providers {
        static final List<BackendProvider> ALL = new ArrayList<>();

        static {
            ServiceLoader.load(BackendProvider.class, BackendProvider.class.getClassLoader()).forEach(ALL::add);
        }
    }

    private static List<Backend> of(BackendProvider provider) {
        return of(FOUND, provider);
    }

    /** Asks a provider once. A device's backend asks for the reference while it is made, so the map is not held meanwhile. */
    static List<Backend> of(Map<BackendProvider, List<Backend>> found, BackendProvider provider) {
        List<Backend> known = found.get(provider);
        if (known != null) {
            return known;
        }
        List<Backend> made = provider.backends();
        List<Backend> first = found.putIfAbsent(provider, made);
        return first != null ? first : made;
    }

    /** Every backend that works here, the default first. Looks for devices of every kind. */
    public static List<Backend> all() {
        return providers().stream().flatMap(p -> of(p).stream()).toList();
    }

    /** Every provider found, working or not, in the order of priority. Looks for devices of every kind. */
    public static List<BackendProvider> providers() {
        return Providers.ALL.stream().sorted(Comparator.comparingInt(BackendProvider::priority).reversed()).toList();
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
     * A backend by name. Only devices of the kind that the name begins with are looked for.
     *
     * @throws IllegalArgumentException listing the names there are
     */
    public static Backend get(String name) {
        int colon = name.indexOf(':');
        String kind = colon < 0 ? name : name.substring(0, colon);
        Optional<Backend> backend = Providers.ALL.stream().filter(p -> p.kind().equals(kind))
                .flatMap(p -> of(p).stream()).filter(b -> b.name().equals(name) || colon < 0 && b.name().startsWith(name + ":")).findFirst();
        return backend.orElseThrow(() -> new IllegalArgumentException("there is no device '" + name + "'. Available: "
                + all().stream().map(Backend::name).toList() + "; 'jotune devices' says why others are missing"));
    }
}
