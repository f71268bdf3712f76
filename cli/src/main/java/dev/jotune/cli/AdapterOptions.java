package dev.jotune.cli;

import dev.jotune.models.Backbone;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.weights.BitDeltaFile;
import dev.jotune.peft.weights.ComPeftFile;
import dev.jotune.tensor.io.SafeTensorsFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Trained adapters to attach. */
final class AdapterOptions {
    @Option(names = "--adapter", paramLabel = "DIR", description = "A folder with adapter_config.json and "
            + "adapter_model.safetensors, from Jotune or PEFT, or a file that 'jotune compress' made; repeatable, all of them act "
            + "together.")
    private List<Path> folders = new ArrayList<>();

    boolean isEmpty() {
        return folders.isEmpty();
    }

    int count() {
        return folders.size();
    }

    /** The classes that the adapters tell apart; none if they are of no classifier. */
    List<String> labels() {
        return folders.stream().filter(f -> !Files.isRegularFile(f)).map(AdapterFiles::labels).filter(l -> !l.isEmpty())
                .findFirst().orElse(List.of());
    }

    /** Attaches them in order; those of them that are no deltas of whole models are returned. */
    List<Adapter> attach(Backbone model) {
        List<Adapter> out = new ArrayList<>();
        for (int i = 0; i < folders.size(); i++) {
            Path folder = folders.get(i);
            String name = (i + 1) + " " + folder;
            if (isDelta(folder)) {
                BitDeltaFile.read(folder, model).attach(model, name);
            } else if (Files.isRegularFile(folder)) {
                AdapterFiles.Contents contents = ComPeftFile.read(folder);
                out.add(Adapters.restore(model, name, contents.method(), contents.tensors()));
            } else {
                out.add(Adapters.load(model, name, folder));
            }
        }
        return out;
    }

    /** Whether one is the compressed delta of a model, which stays beside it. */
    boolean anyDelta() {
        return folders.stream().anyMatch(AdapterOptions::isDelta);
    }

    private static boolean isDelta(Path file) {
        try {
            return Files.isRegularFile(file) && "bitdelta".equals(SafeTensorsFile.open(file).metadata().get("format"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
