package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** The registry of backends. */
class BackendsTest {
    /** All in one bin of a hash table. */
    private record Colliding(String kind, Supplier<List<Backend>> search) implements BackendProvider {
        @Override
        public int priority() {
            return 0;
        }

        @Override
        public List<Backend> backends() {
            return search.get();
        }

        @Override
        public String note() {
            return "";
        }

        @Override
        public int hashCode() {
            return 1;
        }

        @Override
        public boolean equals(Object o) {
            return this == o;
        }
    }

    /** A device's backend asks for the CPU's while it is made, wherever the two lie in the registry. */
    @Test
    void aProviderMayAskForAnother() {
        Map<BackendProvider, List<Backend>> found = new ConcurrentHashMap<>();
        List<String> asked = new ArrayList<>();
        BackendProvider host = new Colliding("host", () -> {
            asked.add("host");
            return List.of(Backends.cpu());
        });
        BackendProvider device = new Colliding("device", () -> {
            asked.add("device");
            return Backends.of(found, host);
        });
        assertThat(Backends.of(found, device)).containsExactly(Backends.cpu());
        assertThat(Backends.of(found, device)).isSameAs(Backends.of(found, device));
        assertThat(Backends.of(found, host)).containsExactly(Backends.cpu());
        assertThat(asked).containsExactly("device", "host");
    }
}
