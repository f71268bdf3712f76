package dev.jotune.autograd.optim;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.io.RawTensor;
import dev.jotune.tensor.io.SafeTensorsFile;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.ref.Reference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The files of {@link RunState}. */
final class RunFiles {
    private static final Pattern NAME = Pattern.compile("run-(\\d{1,18})\\.safetensors");
    private static final String FORMAT = "jotune-run-1";
    private static final String PARAMETER = "parameter.";
    private static final String OPTIMIZER = "optimizer.";
    private static final String NOTE = "note.";
    private static final String CHECKSUM = "checksum";

    private RunFiles() {}

    static String name(long step) {
        return String.format("run-%012d.safetensors", step);
    }

    static long step(Path file) {
        Matcher m = NAME.matcher(file.getFileName().toString());
        return m.matches() ? Long.parseLong(m.group(1)) : -1;
    }

    /** The checkpoints of a folder, newest first. */
    static List<Path> of(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> step(f) >= 0).sorted(Comparator.comparingLong(RunFiles::step).reversed()).toList();
        }
    }

    /** Keeps the new file and the newest before it; unreadable files of later steps go too. */
    static void removeOld(Path folder, Path written, List<Path> unreadable) throws IOException {
        for (Path file : unreadable) {
            Files.deleteIfExists(file);
        }
        List<Path> older = of(folder).stream().filter(f -> step(f) < step(written)).skip(1).toList();
        for (Path file : older) {
            Files.deleteIfExists(file);
        }
    }

    // ---- writing ----

    static AtomicFiles.Content content(RunState run) {
        return channel -> {
            // Tensors that are not dense are copied; the scope holds the copies until they are written.
            try (Scope _ = Scope.open()) {
                Map<String, RawTensor> tensors = new TreeMap<>();
                run.parameters().forEach((name, t) -> tensors.put(PARAMETER + name, RawTensor.of(t)));
                run.optimizer().forEach((name, t) -> tensors.put(OPTIMIZER + name, RawTensor.of(t)));
                Map<String, String> metadata = new TreeMap<>();
                metadata.put("format", FORMAT);
                metadata.put("step", Long.toString(run.step()));
                metadata.put("seed", Long.toString(run.seed()));
                metadata.put("data_position", Long.toString(run.dataPosition()));
                metadata.put("config", run.configHash());
                // Double.toString gives back the very same number when it is read.
                metadata.put("losses", run.losses().stream().map(Object::toString).collect(Collectors.joining(" ")));
                run.notes().forEach((key, text) -> metadata.put(NOTE + key, text));
                metadata.put(CHECKSUM, Checksum.of(tensors, metadata));
                SafeTensorsWriter.content(tensors, metadata).writeTo(channel);
            } finally {
                // What is dense is written from its own memory.
                Reference.reachabilityFence(run);
            }
        };
    }

    // ---- reading ----

    static Optional<RunState.Loaded> latest(Path folder, Backend backend) throws IOException {
        List<String> problems = new ArrayList<>();
        for (Path file : of(folder)) {
            try (Arena arena = Arena.ofConfined()) {
                SafeTensorsFile opened = checked(file, arena);
                return Optional.of(new RunState.Loaded(read(opened, backend), file, List.copyOf(problems)));
            } catch (IOException | FormatException e) {
                problems.add(e.getMessage());
            }
        }
        if (!problems.isEmpty()) {
            throw new IOException(folder + ": no checkpoint there can be used. Empty the folder to start anew. "
                    + String.join(" ", problems));
        }
        return Optional.empty();
    }

    /** Whether a file can be used. */
    static boolean isSound(Path file) {
        try (Arena arena = Arena.ofConfined()) {
            checked(file, arena);
            return true;
        } catch (IOException | FormatException e) {
            return false;
        }
    }

    /** Opens a file and compares its checksum. */
    private static SafeTensorsFile checked(Path file, Arena arena) throws IOException {
        SafeTensorsFile opened = SafeTensorsFile.open(file, arena);
        Map<String, String> metadata = new TreeMap<>(opened.metadata());
        String saved = metadata.remove(CHECKSUM);
        if (!FORMAT.equals(metadata.get("format"))) {
            throw new IOException(file + ": this is not a checkpoint of a run, or a damaged one. "
                    + "Move it out of this folder.");
        }
        if (!Checksum.of(opened.rawTensors(), metadata).equals(saved)) {
            throw new IOException(file + ": the checksum does not fit, the file was damaged after it was written. "
                    + "Delete it, and check the disk.");
        }
        if (Long.parseLong(metadata.get("step")) != step(file)) {
            throw new IOException(file + ": the file holds step " + metadata.get("step")
                    + ", not that of its name. Give it the name it had.");
        }
        return opened;
    }

    private static RunState read(SafeTensorsFile file, Backend backend) {
        Map<String, String> metadata = file.metadata();
        List<Double> losses = Stream.of(metadata.get("losses").split(" ")).filter(s -> !s.isEmpty())
                .map(Double::valueOf).toList();
        Function<String, Map<String, Tensor>> tensors = prefix -> {
            Map<String, Tensor> all = new LinkedHashMap<>();
            StateNames.below(file.rawTensors(), prefix).forEach((name, raw) -> all.put(name, tensor(raw, backend)));
            return all;
        };
        return new RunState(Long.parseLong(metadata.get("step")), Long.parseLong(metadata.get("seed")),
                Long.parseLong(metadata.get("data_position")), losses, metadata.get("config"),
                StateNames.below(metadata, NOTE), tensors.apply(PARAMETER), tensors.apply(OPTIMIZER));
    }

    /** A copy: a view of the file could not be trained. */
    private static Tensor tensor(RawTensor raw, Backend backend) {
        DType dtype = raw.type().dtype().orElseThrow();
        Tensor t = Tensor.empty(backend, dtype, raw.shape());
        backend.write(t, raw.data());
        return t;
    }
}
