package dev.jotune.peft.weights;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.SafeTensorsHeader;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.io.StoredType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * Merges whole checkpoints from file to file. Models are mapped, every tensor is computed a run at a time while it is written, and
 * the shards of the result take their names when all are complete: memory does not grow with the models, and what was in the
 * folder before stays if anything fails.
 */
public final class CheckpointMerge {
    /** Bytes of a shard, as the usual tools choose. */
    public static final long SHARD = 5_000_000_000L;

    private final List<String> labels;
    private final List<Checkpoint> models;

    /** What one tensor of the result is, in terms of that of each model. */
    @FunctionalInterface
    public interface Rule {
        /** @param models the tensor {@code name} of each model, in the order of the models */
        Values apply(String name, List<Values> models);
    }

    /**
     * Models of one architecture.
     *
     * @param models opened checkpoints by what messages call them; the first one gives order and types
     * @throws AdapterException naming the tensor that a model lacks, or has of another shape or kind
     */
    public CheckpointMerge(SequencedMap<String, Checkpoint> models) {
        this.labels = List.copyOf(models.keySet());
        this.models = List.copyOf(models.values());
        for (int i = 1; i < labels.size(); i++) {
            check(labels.getFirst(), this.models.getFirst(), labels.get(i), this.models.get(i));
        }
    }

    private static void check(String first, Checkpoint a, String other, Checkpoint b) {
        for (String name : a.names()) {
            if (!b.contains(name)) {
                throw new AdapterException(other + " has no tensor " + name + ", which " + first + " has. Merge models of one "
                        + "architecture.");
            }
            SafeTensorsHeader.Entry x = a.entry(name);
            SafeTensorsHeader.Entry y = b.entry(name);
            if (!Arrays.equals(x.shape(), y.shape()) || x.type().isFloating() != y.type().isFloating()) {
                throw new AdapterException("the tensor " + name + " is " + x.type() + Arrays.toString(x.shape()) + " in " + first
                        + " and " + y.type() + Arrays.toString(y.shape()) + " in " + other + ". Merge models of one architecture.");
            }
        }
        for (String name : b.names()) {
            if (!a.contains(name)) {
                throw new AdapterException(other + " has a tensor " + name + ", which " + first + " lacks. Merge models of one "
                        + "architecture.");
            }
        }
    }

    /**
     * {@code W = W_0 + scale tau}, the first model being W_0 and tau a combination of the others' differences from it.
     *
     * @param whole whether the combination sees all tensors as one long vector, as TIES trims in its paper, or each for itself
     */
    public Rule taskVectors(Combination combination, double[] weights, double scale, boolean whole) {
        if (!whole) {
            return (name, m) -> Values.sum(List.of(m.getFirst(), combination.of(m.subList(1, m.size()).stream()
                    .map(v -> v.minus(m.getFirst())).toList(), weights, stream(name))), 1, scale);
        }
        List<String> names = models.getFirst().names().stream().filter(this::isFloating).toList();
        List<Values> all = new ArrayList<>();
        for (Checkpoint model : models.subList(1, models.size())) {
            all.add(Values.concat(names.stream().map(n -> Values.of(model.raw(n)).minus(Values.of(models.getFirst().raw(n)))).toList()));
        }
        Values tau = combination.of(all, weights, 0);
        Map<String, Values> parts = new LinkedHashMap<>();
        long at = 0;
        for (String n : names) {
            long size = models.getFirst().raw(n).elements();
            parts.put(n, tau.slice(at, size));
            at += size;
        }
        return (name, m) -> Values.sum(List.of(m.getFirst(), parts.get(name)), 1, scale);
    }

    private boolean isFloating(String name) {
        return models.getFirst().entry(name).type().isFloating();
    }

    /** A number that tells the noise of one tensor from that of another. */
    static long stream(String name) {
        long h = 0xcbf29ce484222325L;
        for (int i = 0; i < name.length(); i++) {
            h = (h ^ name.charAt(i)) * 0x100000001b3L;
        }
        return h;
    }

    /**
     * Writes the merged model.
     *
     * @param type what floating tensors are stored as; empty for the type each has in the first model
     * @param shard bytes at which a new file begins
     * @param others further files of the folder, put in place after the weights
     * @throws AdapterException if a tensor of whole numbers differs between models, or the folder cannot be written
     */
    public void write(Path folder, Rule rule, Optional<StoredType> type, long shard, SequencedMap<String, byte[]> others) {
        List<SequencedMap<String, SafeTensorsWriter.Streamed>> shards = new ArrayList<>(List.of(new LinkedHashMap<>()));
        long bytes = 0;
        long total = 0;
        for (String name : models.getFirst().names()) {
            SafeTensorsWriter.Streamed t = tensor(name, rule, type);
            long size = t.type().byteSize(t.shape());
            if (bytes > 0 && bytes + size > shard) {
                shards.add(new LinkedHashMap<>());
                bytes = 0;
            }
            shards.getLast().put(name, t);
            bytes += size;
            total += size;
        }
        SequencedMap<String, AtomicFiles.Content> files = files(shards, total);
        others.forEach((name, content) -> files.put(name, AtomicFiles.Content.bytes(content)));
        try {
            AtomicFiles.writeAll(folder, files);
        } catch (IOException e) {
            throw new AdapterException("cannot write the merged model: " + e.getMessage(), e);
        }
    }

    private static SequencedMap<String, AtomicFiles.Content> files(List<SequencedMap<String, SafeTensorsWriter.Streamed>> shards, long total) {
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        if (shards.size() == 1) {
            files.put(Checkpoint.SINGLE_FILE, SafeTensorsWriter.streamed(shards.getFirst(), Map.of("format", "pt")));
            return files;
        }
        ObjectNode index = new JsonMapper().createObjectNode();
        index.putObject("metadata").put("total_size", total);
        ObjectNode map = index.putObject("weight_map");
        for (int i = 0; i < shards.size(); i++) {
            String file = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
            files.put(file, SafeTensorsWriter.streamed(shards.get(i), Map.of("format", "pt")));
            shards.get(i).keySet().forEach(name -> map.put(name, file));
        }
        files.put(Checkpoint.INDEX_FILE, AtomicFiles.Content.text(index.toPrettyString()));
        return files;
    }

    private SafeTensorsWriter.Streamed tensor(String name, Rule rule, Optional<StoredType> type) {
        SafeTensorsHeader.Entry entry = models.getFirst().entry(name);
        if (!entry.type().isFloating()) {
            for (int i = 1; i < models.size(); i++) {
                if (models.get(i).data(name).mismatch(models.getFirst().data(name)) >= 0) {
                    throw new AdapterException("the tensor " + name + " of whole numbers differs between " + labels.getFirst() + " and "
                            + labels.get(i) + ". Such tensors have no average: merge models that share it.");
                }
            }
            return new SafeTensorsWriter.Streamed(entry.type(), entry.shape(),
                    channel -> RunWriter.copy(models.getFirst().data(name), channel));
        }
        StoredType out = type.orElse(entry.type());
        RunWriter writer = RunWriter.of(out, name);
        return new SafeTensorsWriter.Streamed(out, entry.shape(), channel -> writer.write(
                rule.apply(name, models.stream().map(m -> Values.of(m.raw(name))).toList()), channel));
    }
}
