package dev.jotune.opencl;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntToLongFunction;

/**
 * Sizes that are best found by trying, measured once for each device and driver and kept in a file beside the compiled programs.
 * Only what no result depends on is tuned, so that noise in a measurement never changes a bit. A damaged file is measured anew,
 * one that cannot be written each time. The property {@value #SWITCH} set to false leaves every size as it was written.
 */
final class Tuning {
    static final String SWITCH = "jotune.opencl.tune";
    private static final int TRIES = 5;
    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    private final Path file;
    private final DeviceInfo device;

    Tuning(Path folder, DeviceInfo device) {
        this.file = folder.resolve("tuned.json");
        this.device = device;
    }

    static boolean enabled() {
        return Boolean.parseBoolean(System.getProperty(SWITCH, "true"));
    }

    /**
     * The remembered size, or else the candidate whose best run of several took least.
     *
     * @param nanos runs with a size and says how long that took; called once more than it counts, to warm up
     */
    int choose(String what, List<Integer> candidates, IntToLongFunction nanos) {
        JsonNode known = known(read(), what);
        if (known.isInt() && candidates.contains(known.intValue())) {
            return known.intValue();
        }
        int best = fastestFirst(candidates, nanos).getFirst();
        remember(all -> all.put(what, best));
        return best;
    }

    /** The remembered order of all candidates, or else the order of their best runs. */
    List<Integer> order(String what, List<Integer> candidates, IntToLongFunction nanos) {
        List<Integer> known = known(read(), what).valueStream().map(JsonNode::asInt).toList();
        if (known.size() == candidates.size() && known.containsAll(candidates)) {
            return known;
        }
        List<Integer> order = fastestFirst(candidates, nanos);
        remember(all -> {
            ArrayNode array = all.putArray(what);
            order.forEach(i -> array.add(i));
        });
        return order;
    }

    private static List<Integer> fastestFirst(List<Integer> candidates, IntToLongFunction nanos) {
        Map<Integer, Long> least = new HashMap<>();
        for (int candidate : candidates) {
            nanos.applyAsLong(candidate);
            for (int i = 0; i < TRIES; i++) {
                least.merge(candidate, nanos.applyAsLong(candidate), Math::min);
            }
        }
        return candidates.stream().sorted(Comparator.comparing(least::get)).toList();
    }

    private JsonNode known(ObjectNode all, String what) {
        return all.path(device.identity().replace('\n', ' ')).path(what);
    }

    /** Read again, since measuring took a while in which others may have written. */
    private void remember(Consumer<ObjectNode> change) {
        ObjectNode all = read();
        change.accept(all.withObjectProperty(device.identity().replace('\n', ' ')));
        write(all);
    }

    private ObjectNode read() {
        try {
            if (Files.exists(file) && JSON.readTree(file.toFile()) instanceof ObjectNode all) {
                return all;
            }
        } catch (IOException e) {
            // Not JSON, or not readable: measured anew.
            return JSON.createObjectNode();
        }
        return JSON.createObjectNode();
    }

    private void write(ObjectNode all) {
        try {
            AtomicFiles.writeString(file, JSON.writeValueAsString(all) + "\n");
        } catch (IOException e) {
            // The next run measures again.
            return;
        }
    }
}
