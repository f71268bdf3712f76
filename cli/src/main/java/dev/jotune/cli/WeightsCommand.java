package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.weights.AdapterMerge;
import dev.jotune.peft.weights.CheckpointMerge;
import dev.jotune.peft.weights.Slerp;
import dev.jotune.peft.weights.Soup;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.StoredType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune weights}: one model of several, or one adapter of several, from file to file. */
@Command(name = "weights", sortOptions = false,
        description = {"Makes one model of several fine-tunings of one, or one adapter of several.", "",
            "  soup             the average (arXiv 2203.05482)",
            "  greedy-soup      the average of those that lower the perplexity of --data (arXiv 2203.05482)",
            "  linear           the average under --weight, of models sum of weight * model / sum of weight;",
            "                   of LoRA adapters of scales s, as in PEFT: A = sum of sqrt(weight * s) * A_i and",
            "                   B = sum of sqrt(weight * s) * B_i, by default with weights of 1 / their number",
            "  slerp            between two, along the arc, at --t",
            "  task-arithmetic  base + scale * sum of weight * (model - base) (arXiv 2212.04089)",
            "  ties             the same, trimmed, with elected signs (arXiv 2306.01708)",
            "  dare-linear, dare-ties  with numbers dropped at random (arXiv 2311.03099)",
            "  magnitude-prune  with the smallest numbers dropped",
            "  breadcrumbs      with the largest and the smallest dropped (arXiv 2312.06795)",
            "  cat, svd, ties-svd, dare-linear-svd, dare-ties-svd, magnitude-prune-svd",
            "                   LoRA adapters alone, as in PEFT's add_weighted_adapter", "",
            "Models are read and written a piece at a time: memory does not grow with them."},
        optionListHeading = "%nOptions:%n")
final class WeightsCommand implements Runnable {
    private static final Map<String, StoredType> TYPES = Map.of("float32", StoredType.F32, "bfloat16", StoredType.BF16,
            "float16", StoredType.F16);

    /** What says how models are put together or written. */
    private static final List<String> OF_MODELS = List.of("--scale", "--whole-model", "--dtype", "--max-shard-size");

    @Mixin
    private MergeMethod method;

    @Option(names = "--model", paramLabel = "MODEL", description = "A model folder, or the OWNER/NAME of one fetched with "
            + "'jotune pull'; repeatable.")
    private List<String> models = new ArrayList<>();

    @Option(names = "--adapter", paramLabel = "DIR", description = "An adapter folder, instead of models; repeatable.")
    private List<Path> adapters = new ArrayList<>();

    @Option(names = "--base", paramLabel = "MODEL", description = "The model that all were tuned from.")
    private Optional<String> base = Optional.empty();

    @Option(names = "--data", paramLabel = "FILE", description = "greedy-soup: held-out texts, JSON lines as for 'jotune eval'.")
    private Optional<Path> data = Optional.empty();

    @Option(names = "--dtype", paramLabel = "TYPE", description = "How numbers of a model are stored: float32, bfloat16 or float16. "
            + "Default: as in the base or the first model.")
    private Optional<String> dtype = Optional.empty();

    @Option(names = "--max-shard-size", paramLabel = "BYTES", defaultValue = "" + CheckpointMerge.SHARD,
            description = "Where a new file begins. Default: ${DEFAULT-VALUE}.")
    private long shard;

    @Option(names = "--out", required = true, paramLabel = "DIR", description = "The new folder.")
    private Path out;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        if (models.isEmpty() == adapters.isEmpty()) {
            throw new UsageException("give either models with --model or adapters with --adapter, at least two of them");
        }
        if (!adapters.isEmpty()) {
            OF_MODELS.stream().filter(spec.commandLine().getParseResult()::hasMatchedOption).findFirst().ifPresent(o -> {
                throw new UsageException(o + " is for models, and adapters are given. Leave it out");
            });
        }
        MergeCommand.checkNew(out);
        method.check(models.size() + adapters.size(), models.isEmpty());
        if (adapters.isEmpty()) {
            mergeModels();
        } else {
            mergeAdapters();
        }
        spec.commandLine().getOut().println("saved " + out);
        spec.commandLine().getOut().flush();
    }

    // ---- models ----

    private void mergeModels() {
        Optional<StoredType> type = dtype.map(t -> Optional.ofNullable(TYPES.get(t)).orElseThrow(() ->
                new UsageException("--dtype: there is no type '" + t + "'. Types: float32, bfloat16, float16")));
        if (method.name().equals("greedy-soup")) {
            GreedySoup soup = new GreedySoup(requireData(), common.backend());
            List<String> chosen = Soup.greedy(models, some -> soup.score(some, this::writeSoup));
            spec.commandLine().getOut().println("ingredients: " + String.join(", ", chosen));
            writeModel(out, chosen, type, false);
            return;
        }
        writeModel(out, models, type, method.needsBase());
    }

    private void writeSoup(List<String> some, Path folder) {
        writeModel(folder, some, Optional.empty(), false);
    }

    private Path requireData() {
        return data.orElseThrow(() -> new UsageException("greedy-soup tries each model on held-out texts. Name them with --data FILE"));
    }

    private void writeModel(Path folder, List<String> some, Optional<StoredType> type, boolean withBase) {
        SequencedMap<String, Checkpoint> all = new LinkedHashMap<>();
        if (withBase) {
            String first = base.orElseThrow(() -> new UsageException(method.name() + " adds differences to the model that all were tuned "
                    + "from. Name it with --base MODEL"));
            all.put(first, open(first));
        }
        for (String m : some) {
            // The same model twice is two ingredients.
            all.put(all.containsKey(m) ? m + " (" + (all.size() + 1) + ")" : m, open(m));
        }
        CheckpointMerge merge = new CheckpointMerge(all);
        merge.write(folder, rule(merge, some.size()), type, shard, Models.sideFiles(withBase ? base.orElseThrow() : some.getFirst()));
    }

    private static Checkpoint open(String model) {
        try {
            return Checkpoint.open(Models.locate(model));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private CheckpointMerge.Rule rule(CheckpointMerge merge, int count) {
        double[] weights = method.weights(count, false);
        return switch (method.name()) {
            case "soup", "greedy-soup" -> (name, m) -> Soup.uniform(m);
            case "linear" -> (name, m) -> Soup.weighted(m, weights);
            case "slerp" -> (name, m) -> new Slerp(method.t(), Slerp.PARALLEL).between(m.get(0), m.get(1));
            default -> merge.taskVectors(method.combination(false), weights, method.scale(), method.wholeModel());
        };
    }

    // ---- adapters ----

    private void mergeAdapters() {
        List<AdapterFiles.Contents> parts = adapters.stream().map(AdapterFiles::read).toList();
        AdapterFiles.Contents merged;
        double[] weights = method.weights(parts.size(), true);
        switch (method.name()) {
            case "greedy-soup" -> {
                GreedySoup soup = new GreedySoup(requireData(), common.backend());
                String model = base.orElseThrow(() -> new UsageException("greedy-soup runs the adapters on their model. Name it with --base MODEL"));
                List<AdapterFiles.Contents> chosen = Soup.greedy(parts, some -> soup.score(model, soupOf(some)));
                spec.commandLine().getOut().println("ingredients: " + String.join(", ",
                        chosen.stream().map(c -> adapters.get(parts.indexOf(c)).toString()).toList()));
                merged = soupOf(chosen);
            }
            case "soup" -> merged = soupOf(parts);
            case "slerp" -> merged = AdapterMerge.entrywise(parts, (n, v) -> new Slerp(method.t(), Slerp.PARALLEL).between(v.get(0), v.get(1)));
            case "cat" -> merged = new AdapterMerge(parts, weights).cat();
            case String s when s.endsWith("svd") ->
                    merged = new AdapterMerge(parts, weights).svd(method.combination(true), method.svdRank(), method.svdClamp());
            default -> merged = new AdapterMerge(parts, weights).combine(method.combination(true));
        }
        AdapterFiles.write(out, merged, adapters.getFirst());
    }

    private static AdapterFiles.Contents soupOf(List<AdapterFiles.Contents> some) {
        return AdapterMerge.entrywise(some, (name, v) -> Soup.uniform(v));
    }
}
