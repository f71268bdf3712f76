package dev.jotune.autograd.optim;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;

/** Named settings as a configuration file has them, read once each; what nobody read is an error. */
final class Settings {
    private final String owner;
    private final Map<String, ?> values;
    private final Set<String> read = new HashSet<>();

    Settings(String owner, Map<String, ?> values) {
        this.owner = owner;
        this.values = values;
    }

    double number(String name, double otherwise) {
        return toNumber(name, take(name), otherwise);
    }

    /** Empty where the setting is missing or null. */
    OptionalDouble optional(String name) {
        Object v = take(name);
        return v == null ? OptionalDouble.empty() : OptionalDouble.of(toNumber(name, v, 0));
    }

    /** Element {@code index} of a list of numbers. */
    double element(String name, int index, double otherwise) {
        return list(name) instanceof List<?> l && index < l.size() ? toNumber(name, l.get(index), otherwise)
                : otherwise;
    }

    /** Like {@link #element}, empty where it is null. */
    OptionalDouble optionalElement(String name, int index) {
        return list(name) instanceof List<?> l && index < l.size() && l.get(index) != null
                ? OptionalDouble.of(toNumber(name, l.get(index), 0)) : OptionalDouble.empty();
    }

    private Object list(String name) {
        Object v = take(name);
        if (v != null && !(v instanceof List<?>)) {
            throw wrong(name, v, "a list of numbers");
        }
        return v;
    }

    boolean flag(String name, boolean otherwise) {
        Object v = take(name);
        if (v != null && !(v instanceof Boolean)) {
            throw wrong(name, v, "true or false");
        }
        return v == null ? otherwise : (Boolean) v;
    }

    String text(String name, String otherwise) {
        Object v = take(name);
        return v == null ? otherwise : v.toString();
    }

    /** Marks settings that may be present without having a meaning here. */
    Settings allow(String... names) {
        read.addAll(List.of(names));
        return this;
    }

    /** @throws IllegalArgumentException naming a setting that was not read */
    <T> T done(T result) {
        for (String name : values.keySet()) {
            if (!read.contains(name)) {
                throw new IllegalArgumentException(owner + " has no setting '" + name + "'. It has " + read + ".");
            }
        }
        return result;
    }

    private Object take(String name) {
        read.add(name);
        return values.get(name);
    }

    private double toNumber(String name, Object v, double otherwise) {
        return switch (v) {
            case null -> otherwise;
            case Number n -> n.doubleValue();
            case String s when s.equals("inf") -> Double.POSITIVE_INFINITY;
            default -> throw wrong(name, v, "a number");
        };
    }

    private IllegalArgumentException wrong(String name, Object v, String wanted) {
        return new IllegalArgumentException("setting '" + name + "' of " + owner + " is " + v + ". Give " + wanted
                + ".");
    }
}
