package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Scope;

/** One thing that a backend must do as the reference does. */
public record Case(String name, Body body) {
    /** Throws an AssertionError if the backend is wrong. */
    @FunctionalInterface
    public interface Body {
        void check(Backend backend);
    }

    /** Runs the case and frees what it made. */
    public void run(Backend backend) {
        try (Scope scope = Scope.open()) {
            body.check(backend);
        }
    }

    @Override
    public String toString() {
        return name;
    }
}
