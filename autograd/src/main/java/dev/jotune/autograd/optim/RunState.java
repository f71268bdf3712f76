package dev.jotune.autograd.optim;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Everything that a training run needs to go on bit for bit, as one file a checkpoint.
 *
 * <p>A checkpoint is a safetensors file {@code run-<step>.safetensors} with tensors {@code parameter.<name>} and
 * {@code optimizer.<state name>}; the rest is in its metadata, with a checksum over all of it. A file appears
 * under its name only when it is complete and on the disk, and the older ones are removed after that, so that the
 * last complete checkpoint can be read at every moment.
 *
 * @param step         updates made, see {@link Optimizer#steps()}
 * @param seed         the run's seed
 * @param dataPosition examples (or whatever the reader counts) taken so far
 * @param losses       the last losses, oldest first; {@link #LOSS_TAIL} are kept
 * @param configHash   of the configuration that must be the same when the run goes on
 * @param notes        further texts
 * @param parameters   what trains, by name
 * @param optimizer    {@link Optimizer#state()}
 */
public record RunState(long step, long seed, long dataPosition, List<Double> losses, String configHash,
        Map<String, String> notes, Map<String, Tensor> parameters, Map<String, Tensor> optimizer) {

    /** How many losses are saved. */
    public static final int LOSS_TAIL = 256;

    /**
     * @throws IllegalArgumentException for a negative step, which no file name can hold
     */
    public RunState {
        if (step < 0) {
            throw new IllegalArgumentException("step " + step + " is negative. Count updates from 0.");
        }
        losses = List.copyOf(losses.subList(Math.max(0, losses.size() - LOSS_TAIL), losses.size()));
        notes = Map.copyOf(notes);
        parameters = new LinkedHashMap<>(parameters);
        optimizer = new LinkedHashMap<>(optimizer);
    }

    /**
     * A state that was read.
     *
     * @param file     where it was
     * @param problems newer files that were skipped, each with the reason; tell the user
     */
    public record Loaded(RunState state, Path file, List<String> problems) {}

    /**
     * Writes a checkpoint and then removes all but it and the one before.
     *
     * @return the file
     * @throws IOException              if it cannot be written; earlier checkpoints are then untouched
     * @throws IllegalArgumentException if the folder holds a readable checkpoint of a later step
     */
    public Path save(Path folder) throws IOException {
        return save(folder, UnaryOperator.identity());
    }

    /** As {@link #save(Path)}, writing through another channel; for tests of failing disks. */
    Path save(Path folder, UnaryOperator<WritableByteChannel> through) throws IOException {
        List<Path> later = RunFiles.of(folder).stream().filter(f -> RunFiles.step(f) > step).toList();
        for (Path file : later) {
            if (RunFiles.isSound(file)) {
                throw new IllegalArgumentException(folder + " holds step " + RunFiles.step(file)
                        + " of a run, later than step " + step + ". Go on from there, or choose another folder.");
            }
        }
        Path target = folder.resolve(RunFiles.name(step));
        AtomicFiles.Content content = RunFiles.content(this);
        AtomicFiles.write(target, channel -> content.writeTo(through.apply(channel)));
        RunFiles.removeOld(folder, target, later);
        return target;
    }

    /**
     * The newest checkpoint of a folder that is complete and undamaged; empty if the folder has none at all.
     *
     * @param backend where tensors shall lie
     * @throws IOException if the folder cannot be read, or has checkpoints of which none can be used
     */
    public static Optional<Loaded> latest(Path folder, Backend backend) throws IOException {
        return RunFiles.latest(folder, backend);
    }
}
