package dev.jotune.peft.train;

import dev.jotune.autograd.optim.RunState;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.Backend;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;

/** The checkpoints of a run folder, and whether they are of this run. */
final class Checkpoints {
    static final String FOLDER = "checkpoints";
    private static final String PREFIX = "config.";

    private final Path folder;
    private final SequencedMap<String, String> config;

    /** @param config what must be the same when the run goes on */
    Checkpoints(Path runFolder, SequencedMap<String, String> config) {
        this.folder = runFolder.resolve(FOLDER);
        this.config = config;
    }

    String hash() {
        return Fingerprints.of(config);
    }

    /** The configuration as notes of a checkpoint, so that a refusal can name what differs. */
    Map<String, String> notes() {
        Map<String, String> notes = new LinkedHashMap<>();
        config.forEach((k, v) -> notes.put(PREFIX + k, v));
        return notes;
    }

    Path save(RunState state) {
        try {
            return state.save(folder);
        } catch (IOException e) {
            throw new AdapterException("step " + state.step() + " could not be saved: " + e.getMessage()
                    + " Earlier checkpoints in " + folder + " are untouched; resume from them.", e);
        }
    }

    /**
     * The last checkpoint.
     *
     * @throws AdapterException if there are checkpoints but none can be read, or they are of another run
     */
    Optional<RunState.Loaded> latest(Backend backend) {
        Optional<RunState.Loaded> found;
        try {
            found = RunState.latest(folder, backend);
        } catch (IOException e) {
            throw new AdapterException("the run cannot go on: " + e.getMessage(), e);
        }
        found.ifPresent(l -> checkSame(l.state()));
        return found;
    }

    private void checkSame(RunState state) {
        if (state.configHash().equals(hash())) {
            return;
        }
        List<String> differences = new ArrayList<>();
        config.forEach((k, v) -> {
            String before = state.notes().get(PREFIX + k);
            if (!Objects.equals(before, v)) {
                differences.add(k + " was " + shortened(before) + ", now " + shortened(v));
            }
        });
        throw new AdapterException("the run in " + folder + " was begun with other settings: "
                + (differences.isEmpty() ? "by another version of this program" : String.join("; ", differences))
                + ". Resume with the same settings, or choose another folder.");
    }

    private static String shortened(String text) {
        if (text == null) {
            return "not there";
        }
        String line = text.replaceAll("\\s+", " ");
        return line.length() > 300 ? line.substring(0, 300) + "..." : line;
    }

    /** @throws AdapterException if a run is there, which a fresh one would overwrite */
    void requireNone(Backend backend) {
        Optional<RunState.Loaded> found;
        try {
            found = RunState.latest(folder, backend);
        } catch (IOException e) {
            throw new AdapterException("a new run cannot begin: " + e.getMessage(), e);
        }
        found.ifPresent(l -> {
            throw new AdapterException(folder + " holds step " + l.state().step()
                    + " of an earlier run. Resume it, delete "
                    + "that folder to start anew, or choose another folder.");
        });
    }
}
