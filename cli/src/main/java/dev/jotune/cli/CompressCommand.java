package dev.jotune.cli;

import dev.jotune.models.Backbone;
import dev.jotune.models.Models;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Targets;
import dev.jotune.peft.weights.BitDelta;
import dev.jotune.peft.weights.BitDeltaFile;
import dev.jotune.peft.weights.ComPeft;
import dev.jotune.peft.weights.ComPeftFile;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune compress}: what a fine-tuning changed, in a bit a number or less. */
@Command(name = "compress", sortOptions = false,
        description = {"Writes what a fine-tuning changed as one small file, which --adapter takes like an adapter's folder.", "",
            "  bitdelta  of a model and its --base: a sign for each number and a scale for each matrix (arXiv 2402.10193)",
            "  compeft   of an --adapter: the largest numbers as signs with one scale (arXiv 2311.13171)"},
        optionListHeading = "%nOptions:%n")
final class CompressCommand implements Runnable {
    @Option(names = "--method", required = true, paramLabel = "NAME", description = "bitdelta or compeft.")
    private String method;

    @Option(names = "--model", paramLabel = "MODEL", description = "bitdelta: the tuned model, a folder or a fetched OWNER/NAME.")
    private Optional<String> model = Optional.empty();

    @Option(names = "--base", paramLabel = "MODEL", description = "bitdelta: the model that it was tuned from.")
    private Optional<String> base = Optional.empty();

    @Option(names = "--rounds", paramLabel = "N", defaultValue = "1", description = "bitdelta: bits a number. Default: ${DEFAULT-VALUE}.")
    private int rounds;

    @Option(names = {"--target-modules", "--target_modules"}, paramLabel = "NAMES", defaultValue = Targets.ALL_LINEAR,
            description = "bitdelta: the layers that become signs; all other weights that differ are kept as they are. "
                    + "Default: ${DEFAULT-VALUE}.")
    private String targets;

    @Option(names = "--adapter", paramLabel = "DIR", description = "compeft: the adapter's folder.")
    private Optional<Path> adapter = Optional.empty();

    @Option(names = "--density", paramLabel = "X", defaultValue = "0.2", description = "compeft: the share of numbers that are kept. "
            + "Default: ${DEFAULT-VALUE}.")
    private double density;

    @Option(names = "--alpha", paramLabel = "X", defaultValue = "1", description = "compeft: the scale, in standard deviations. "
            + "Default: ${DEFAULT-VALUE}.")
    private double alpha;

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "The new file.")
    private Path out;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        if (Files.exists(out)) {
            throw new UsageException("--out: " + out + " is there already. Choose a new file");
        }
        switch (method) {
            case "bitdelta" -> bitDelta();
            case "compeft" -> comPeft();
            default -> throw new UsageException("--method: there is no method '" + method + "'. Methods: bitdelta, compeft");
        }
        spec.commandLine().getOut().println("saved " + out);
        spec.commandLine().getOut().flush();
    }

    private void bitDelta() {
        if (model.isEmpty() || base.isEmpty() || adapter.isPresent()) {
            throw new UsageException("bitdelta compresses a model against the one it was tuned from. Name them with --model and --base");
        }
        Backend backend = common.backend();
        Backbone from = Models.open(base.get(), backend, DType.F32).backbone();
        Backbone tuned = Models.open(model.get(), backend, DType.F32).backbone();
        BitDeltaFile.write(BitDelta.between(from, tuned, Targets.parse(targets), rounds), out);
    }

    private void comPeft() {
        if (adapter.isEmpty() || model.isPresent() || base.isPresent()) {
            throw new UsageException("compeft compresses an adapter. Name its folder with --adapter, and no model");
        }
        AdapterFiles.Contents contents = AdapterFiles.read(adapter.get());
        ComPeftFile.write(out, contents, ComPeft.compress(ComPeftFile.vector(contents, ComPeftFile.usualStart(contents)), density, alpha));
    }
}
