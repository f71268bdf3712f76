package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import java.util.List;

/** Offers the CPU backend: on the Vector API where the JVM has it, on scalar code otherwise. */
public final class CpuProvider implements BackendProvider {
    private static final boolean VECTOR = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    private static volatile boolean warned;

    @Override
    public String kind() {
        return "cpu";
    }

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public List<Backend> backends() {
        if (VECTOR) {
            return List.of(new VectorBackend());
        }
        if (!warned) {
            warned = true;
            System.err.println("jotune: " + note());
        }
        return List.of(new ScalarBackend());
    }

    @Override
    public String note() {
        return VECTOR ? Extensions.all().note() : "the module jdk.incubator.vector is absent, so scalar code runs, many times slower; "
                + "start Java with --add-modules jdk.incubator.vector";
    }
}
