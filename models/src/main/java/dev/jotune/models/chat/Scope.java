package dev.jotune.models.chat;

import java.util.HashMap;
import java.util.Map;

/** Variables, and those around them. */
final class Scope {

    private final Map<String, Object> variables = new HashMap<>();
    private final Scope outer;

    Scope(Scope outer) {
        this.outer = outer;
    }

    /** The value of a name, or null. */
    Object get(String name) {
        for (Scope scope = this; scope != null; scope = scope.outer) {
            Object value = scope.variables.get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    void set(String name, Object value) {
        variables.put(name, value);
    }
}
