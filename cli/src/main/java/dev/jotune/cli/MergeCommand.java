package dev.jotune.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.weights.WeightVector;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune merge}: a model folder with adapters worked into its weights. */
@Command(name = "merge", sortOptions = false,
        description = {"Writes a model folder with adapters worked into the weights.", "", "No adapter is needed to run it.",
            "For methods that change matrices (lora). Weights that change are stored in F32, so nothing is",
            "lost; all others stay as they are."},
        optionListHeading = "%nOptions:%n")
final class MergeCommand implements Runnable {
    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Option(names = {"--adapter-weight", "--adapter_weight"}, paramLabel = "X", description = "Scales what an adapter adds, "
            + "one for each --adapter: W + sum of X (W' - W) (task arithmetic, arXiv 2212.04089). Without it adapters are "
            + "merged one after the other.")
    private List<Double> weights = new ArrayList<>();

    @Option(names = "--out", required = true, paramLabel = "DIR", description = "The new model folder.")
    private Path out;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        if (adapters.isEmpty()) {
            throw new UsageException("merge needs an adapter. Name its folder with --adapter DIR");
        }
        if (!weights.isEmpty() && weights.size() != adapters.count()) {
            throw new UsageException("--adapter-weight is given " + weights.size() + " times for " + adapters.count()
                    + " adapters. Give one for each --adapter");
        }
        if (adapters.anyDelta()) {
            throw new UsageException("--adapter: merge takes adapters, and one is the compressed delta of a whole model. Keep it beside its base");
        }
        if (model.quantize().isPresent()) {
            throw new UsageException("--quantize: merged weights are written as they are computed. Leave it out");
        }
        Backend backend = common.backend();
        checkNew(out);
        List<String> labels = adapters.labels();
        Models.Loaded loaded = labels.isEmpty() ? model.load(backend) : model.classifier(backend, labels, 0);
        Map<String, DType> before = types(loaded);
        List<Adapter> attached = adapters.attach(loaded.backbone());
        attached.forEach(MergeCommand::checkMergeable);
        if (weights.isEmpty()) {
            attached.forEach(Adapter::merge);
        } else {
            combine(loaded, attached);
        }
        write(loaded, !before.equals(types(loaded)));
        spec.commandLine().getOut().println("saved " + out);
        spec.commandLine().getOut().flush();
    }

    /** {@code W + sum of weight (W' - W)}. */
    private void combine(Models.Loaded loaded, List<Adapter> attached) {
        WeightVector sum = null;
        for (int i = 0; i < attached.size(); i++) {
            WeightVector v = WeightVector.of(attached.get(i)).times(weights.get(i));
            sum = sum == null ? v : sum.plus(v);
        }
        sum.applyTo(loaded.backbone());
        attached.forEach(Adapter::detach);
    }

    /** Overwriting the very model that is being read would leave no way back. */
    static void checkNew(Path out) {
        try {
            if (Files.isDirectory(out)) {
                try (Stream<Path> files = Files.list(out)) {
                    if (files.anyMatch(f -> f.getFileName().toString().endsWith(".safetensors"))) {
                        throw new UsageException("--out: " + out + " holds weights already. Choose a new folder");
                    }
                }
            } else if (Files.exists(out)) {
                throw new UsageException("--out: " + out + " is a file. Choose a new folder");
            }
        } catch (IOException e) {
            throw new FailureException("cannot look into " + out + ": " + e.getMessage(), e);
        }
    }

    private static void checkMergeable(Adapter a) {
        if (!a.canMerge()) {
            throw new AdapterException(a.name() + " is " + a.method().peftType() + ", which cannot be merged into the weights: it "
                    + "adds to the model's input, not to its matrices. Keep using it with --adapter.");
        }
    }

    private static Map<String, DType> types(Models.Loaded loaded) {
        Map<String, DType> out = new LinkedHashMap<>();
        loaded.backbone().seams().parameters().forEach((path, p) -> out.put(path, p.stored().type()));
        return out;
    }

    private void write(Models.Loaded loaded, boolean widened) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        for (Parameter p : loaded.backbone().seams().parameters().values()) {
            weights.put(p.path(), p.base().tensor());
        }
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        files.put("model.safetensors", SafeTensorsWriter.contentOf(weights, Map.of("format", "pt")));
        Models.sideFiles(model.name()).forEach((name, bytes) -> files.put(name, AtomicFiles.Content.bytes(
                name.equals("config.json") ? config(bytes, loaded.backbone(), widened) : bytes)));
        try {
            AtomicFiles.writeAll(out, files);
        } catch (IOException e) {
            throw new FailureException("cannot write the model: " + e.getMessage(), e);
        }
    }

    /** What changed is said in the configuration: the weights' type, and a head that was put on. */
    private static byte[] config(byte[] config, Backbone model, boolean widened) {
        boolean headed = model instanceof SequenceClassifier c && !c.freshModules().isEmpty();
        if (!widened && !headed) {
            return config;
        }
        JsonMapper json = new JsonMapper();
        try {
            ObjectNode node = (ObjectNode) json.readTree(new String(config, StandardCharsets.UTF_8));
            if (widened) {
                node.put(node.has("dtype") ? "dtype" : "torch_dtype", "float32");
            }
            if (headed) {
                node.putArray("architectures").add(Architectures.classifierName(model.modelType()));
                ObjectNode names = node.putObject("id2label");
                ObjectNode numbers = node.putObject("label2id");
                List<String> labels = ((SequenceClassifier) model).labels();
                for (int i = 0; i < labels.size(); i++) {
                    names.put(Integer.toString(i), labels.get(i));
                    numbers.put(labels.get(i), i);
                }
            }
            return json.writerWithDefaultPrettyPrinter().writeValueAsBytes(node);
        } catch (JsonProcessingException e) {
            throw new FailureException("config.json is not valid JSON: " + e.getOriginalMessage(), e);
        }
    }
}
