package dev.jotune.opencl;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
        ObjectNode all = read();
        JsonNode known = all.path(device.identity().replace('\n', ' ')).path(what);
        if (known.isInt() && candidates.contains(known.intValue())) {
            return known.intValue();
        }
        int best = candidates.getFirst();
        long least = Long.MAX_VALUE;
        for (int candidate : candidates) {
            nanos.applyAsLong(candidate);
            for (int i = 0; i < TRIES; i++) {
                long time = nanos.applyAsLong(candidate);
                if (time < least) {
                    least = time;
                    best = candidate;
                }
            }
        }
        all.withObjectProperty(device.identity().replace('\n', ' ')).put(what, best);
        write(all);
        return best;
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
