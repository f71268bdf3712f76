package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Evaluation;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Stream;

/**
 * Scores soups for {@link dev.jotune.peft.weights.Soup#greedy} by the log-likelihood of held-out texts, more being better.
 *
 * @param data the texts
 */
record GreedySoup(Path data, Backend backend, Map<String, Models.Loaded> bases) {
    GreedySoup(Path data, Backend backend) {
        this(data, backend, new HashMap<>());
    }

    /** The soup of models: written to a folder of its own, run, and deleted. */
    double score(List<String> models, BiConsumer<List<String>, Path> write) {
        try {
            Path folder = Files.createTempDirectory("jotune-soup");
            try {
                write.accept(models, folder);
                return score(Models.open(folder.toString(), backend, DType.F32));
            } finally {
                try (Stream<Path> files = Files.list(folder)) {
                    for (Path f : files.toList()) {
                        Files.delete(f);
                    }
                }
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** An adapter on its model, which is loaded once. */
    double score(String base, AdapterFiles.Contents adapter) {
        Models.Loaded loaded = bases.computeIfAbsent(base, b -> Models.open(b, backend, DType.F32));
        Adapter attached = Adapters.restore(loaded.backbone(), "soup", adapter.method(), adapter.tensors());
        try {
            return score(loaded);
        } finally {
            attached.detach();
        }
    }

    private double score(Models.Loaded loaded) {
        Dataset texts = Dataset.readJsonl(data, loaded.requireTokenizer(), loaded.generation(), 0);
        return -Evaluation.perplexity(loaded.model(), texts, loaded.backbone().seams().inference()).negativeLogLikelihood();
    }
}
