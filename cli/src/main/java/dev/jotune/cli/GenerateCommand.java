package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextGenerator;
import dev.jotune.tensor.Backend;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune generate}: continues a prompt, printing as it goes. */
@Command(name = "generate", sortOptions = false, description = "Continues a prompt, printing the text as it comes.",
        optionListHeading = "%nOptions:%n")
final class GenerateCommand implements Runnable {
    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Option(names = "--prompt", required = true, paramLabel = "TEXT", description = "What to continue; - reads it from the "
            + "standard input.")
    private String prompt;

    @Mixin
    private SamplingArguments sampling;

    @Option(names = "--stats", description = "Prints tokens and speed on the error stream at the end.")
    private boolean stats;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        sampling.read(new int[0]);
        Backend backend = common.backend();
        Models.Loaded loaded = model.load(backend);
        adapters.attach(loaded.model());
        SamplingOptions options = sampling.read(loaded.generation().eosTokenIds());
        PrintWriter out = spec.commandLine().getOut();
        String text = prompt.equals("-") ? standardInput() : prompt;
        TextGenerator generator = new TextGenerator(loaded, options);
        // Checked before the prompt is printed, so that an error comes alone.
        int[] ids = generator.encode(text);
        out.print(text);
        out.flush();
        Generation g = generator.generate(ids, 0, new GenerationListener() {
            @Override
            public void text(String piece) {
                out.print(piece);
                out.flush();
            }
        });
        out.println();
        out.flush();
        if (stats) {
            PrintWriter err = spec.commandLine().getErr();
            err.printf(Locale.ROOT, "%d prompt tokens at %,.0f/s, %d new tokens at %,.1f/s, ended by %s%n", g.promptTokens(),
                    g.promptTokensPerSecond(), g.newTokens(), g.tokensPerSecond(), g.finishReason().name().toLowerCase(Locale.ROOT));
            err.flush();
        }
    }

    private static String standardInput() {
        try {
            return new String(System.in.readAllBytes(), StandardCharsets.UTF_8).stripTrailing();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
