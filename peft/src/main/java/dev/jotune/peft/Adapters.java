package dev.jotune.peft;

import dev.jotune.models.Backbone;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Makes adapters: new ones, and ones from files. */
public final class Adapters {
    /** PEFT's name for the only adapter. */
    public static final String DEFAULT_NAME = "default";

    private Adapters() {}

    /** Attaches a new, untrained adapter; the same seed gives the same start. */
    public static Adapter create(Backbone model, String name, TuningMethod method, long seed) {
        return create(model, name, method, seed, Optional.empty());
    }

    /** As {@link #create(Backbone, String, TuningMethod, long)}, with the model's tokenizer for starts from text. */
    public static Adapter create(Backbone model, String name, TuningMethod method, long seed,
            Optional<Function<String, int[]>> tokenizer) {
        TuningMethod own = TaskType.complete(method.on(model), model);
        return attach(model, name, own, new Attachment(model, seed, Optional.empty(), tokenizer, own.modulesToSave()));
    }

    /**
     * Attaches the adapter in {@code folder}, as PEFT or Jotune wrote it.
     *
     * @throws AdapterException if it does not fit the model, is damaged, or asks for what is not supported
     */
    public static Adapter load(Backbone model, String name, Path folder) {
        AdapterFiles.Contents c = AdapterFiles.read(folder);
        return restore(model, name, c.method(), c.tensors());
    }

    /** Attaches an adapter whose tensors are given under their file keys. */
    public static Adapter restore(Backbone model, String name, TuningMethod method, Map<String, Tensor> tensors) {
        // PEFT was not told of a classifier if no head was saved.
        TuningMethod own = TaskType.trainsHead(tensors.keySet()) ? TaskType.complete(method.on(model), model) : method.on(model);
        return attach(model, name, own, new Attachment(model, 0, Optional.of(tensors), Optional.empty(), own.modulesToSave()));
    }

    private static Adapter attach(Backbone model, String name, TuningMethod method, Attachment a) {
        if (name.isBlank()) {
            throw new AdapterException("an adapter needs a name.");
        }
        if (model.seams().attached().contains(name)) {
            throw new AdapterException("an adapter named '" + name + "' is attached already. Detach it or choose another name.");
        }
        method.attachTo(a);
        if (!a.unread().isEmpty()) {
            throw new AdapterException("the adapter holds tensors that " + method.peftType() + " with this configuration does not "
                    + "use: " + String.join(", ", a.unread().stream().limit(5).toList())
                    + (a.unread().size() > 5 ? ", ... (" + a.unread().size() + " in all)" : "")
                    + ". Its adapter_config.json does not describe them.");
        }
        return new Adapter(model, name, method, a);
    }
}
