package dev.jotune.jmh.claims;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/** One line of results: names and numbers, in their order. */
public record Row(@JsonValue SequencedMap<String, Object> values) {
    @JsonCreator
    public Row(SequencedMap<String, Object> values) {
        this.values = new LinkedHashMap<>(values);
    }

    /** Of names and values in turn. */
    static Row of(Object... namesAndValues) {
        SequencedMap<String, Object> values = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            values.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return new Row(values);
    }

    Row and(Map<String, Object> more) {
        SequencedMap<String, Object> all = new LinkedHashMap<>(more);
        all.putAll(values);
        return new Row(all);
    }

    boolean has(String name, Object value) {
        return values.containsKey(name) && values.get(name).toString().equals(value.toString());
    }

    String text(String name) {
        Object v = values.get(name);
        if (v == null) {
            throw new IllegalArgumentException("a line of results has no '" + name + "': " + values + ". Run its claim again.");
        }
        return v.toString();
    }

    double number(String name) {
        return Double.parseDouble(text(name));
    }
}
