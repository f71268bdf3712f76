package dev.jotune.models.gguf;

import dev.jotune.models.ModelException;
import dev.jotune.tensor.io.GgufFile;
import dev.jotune.tensor.io.GgufValue;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** A file's keys read with care: every getter names the file and the key when something is off, and notes what was read. */
final class GgufMetadata {
    private final GgufFile file;
    private final Set<String> read = new LinkedHashSet<>();

    GgufMetadata(GgufFile file) {
        this.file = file;
    }

    boolean has(String key) {
        return file.value(key).isPresent();
    }

    Optional<String> text(String key) {
        return value(key).map(v -> v instanceof GgufValue.Text(String text) ? text : wrong(key, v, "a text"));
    }

    Optional<Long> whole(String key) {
        return value(key).map(v -> v instanceof GgufValue.Whole w && w.value() >= 0 ? (Long) w.value() : wrong(key, v, "a whole number"));
    }

    /** @throws ModelException if the key is not there */
    long required(String key) {
        return whole(key).orElseThrow(() -> new ModelException(file.path() + " lacks the key " + key + ", a whole number. "
                + "Convert the model again with a current tool."));
    }

    /** A number; single precision as its shortest decimal fraction, which is what the original configuration held. */
    Optional<Double> number(String key) {
        return value(key).map(v -> switch (v) {
            case GgufValue.Real r when Double.isFinite(r.value()) -> r.kind() == GgufValue.Kind.FLOAT32
                    ? Double.valueOf(Float.toString((float) r.value())) : (Double) r.value();
            case GgufValue.Whole w -> Double.valueOf(w.value());
            default -> wrong(key, v, "a number");
        });
    }

    Optional<Boolean> flag(String key) {
        return value(key).map(v -> v instanceof GgufValue.Flag(boolean flag) ? (Boolean) flag : wrong(key, v, "true or false"));
    }

    /** The elements of an array; empty where there is none. */
    List<GgufValue> array(String key) {
        return value(key).map(v -> v instanceof GgufValue.Array a ? a.elements() : this.<List<GgufValue>>wrong(key, v, "an array"))
                .orElse(List.of());
    }

    private Optional<GgufValue> value(String key) {
        read.add(key);
        return file.value(key);
    }

    /**
     * Refuses keys of a group that nobody read: they may change the mathematics.
     *
     * @throws ModelException naming them
     */
    void finish(String group, Set<String> harmless) {
        String left = file.metadata().keySet().stream().filter(k -> k.startsWith(group) && !read.contains(k) && !harmless.contains(k))
                .map(k -> k + " = " + file.metadata().get(k)).collect(Collectors.joining(", "));
        if (!left.isEmpty()) {
            throw new ModelException(file.path() + " has settings that are not supported: " + left + ". Use the safetensors checkpoint "
                    + "of this model, or another model.");
        }
    }

    private <T> T wrong(String key, GgufValue value, String expected) {
        String shown = value.toString();
        throw new ModelException(file.path() + ": " + key + " is " + (shown.length() > 60 ? shown.substring(0, 60) + "..." : shown) + ", expected "
                + expected + ". Convert the model again with a current tool.");
    }
}
