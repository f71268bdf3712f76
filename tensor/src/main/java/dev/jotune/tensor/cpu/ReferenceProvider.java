package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import java.util.List;

/** Offers the scalar reference backend. */
public final class ReferenceProvider implements BackendProvider {
    @Override
    public String kind() {
        return "reference";
    }

    @Override
    public int priority() {
        return -1;
    }

    @Override
    public List<Backend> backends() {
        return List.of(new ReferenceBackend());
    }

    @Override
    public String note() {
        return "";
    }
}
