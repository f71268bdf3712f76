package dev.jotune.cli;

import dev.jotune.models.Backbone;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Adapters;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Trained adapters to attach. */
final class AdapterOptions {
    @Option(names = "--adapter", paramLabel = "DIR", description = "A folder with adapter_config.json and "
            + "adapter_model.safetensors, from Jotune or PEFT; repeatable, all of them act together.")
    private List<Path> folders = new ArrayList<>();

    boolean isEmpty() {
        return folders.isEmpty();
    }

    int count() {
        return folders.size();
    }

    /** The classes that the adapters tell apart; none if they are of no classifier. */
    List<String> labels() {
        return folders.stream().map(AdapterFiles::labels).filter(l -> !l.isEmpty()).findFirst().orElse(List.of());
    }

    /** Attaches them in order. */
    List<Adapter> attach(Backbone model) {
        List<Adapter> out = new ArrayList<>();
        for (Path folder : folders) {
            out.add(Adapters.load(model, (out.size() + 1) + " " + folder, folder));
        }
        return out;
    }
}
