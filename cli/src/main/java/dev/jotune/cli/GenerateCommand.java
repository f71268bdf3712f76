package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.chat.ChatTemplate;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextGenerator;
import dev.jotune.tensor.Backend;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
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

    @Option(names = "--chat", description = "Asks the model: writes the prompt as a user's turn with the chat template of the "
            + "checkpoint, and prints the answer.")
    private boolean chat;

    @Option(names = "--system", paramLabel = "TEXT", description = "What a chat begins with: how the assistant should behave.")
    private String system;

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
        if (system != null && !chat) {
            throw new UsageException("--system says how a chat begins, but this is none. Add --chat, or put the text into --prompt");
        }
        Backend backend = common.backend();
        Models.Loaded loaded = model.load(backend);
        adapters.attach(loaded.model());
        SamplingOptions options = sampling.read(loaded.generation().eosTokenIds());
        PrintWriter out = spec.commandLine().getOut();
        String text = prompt.equals("-") ? standardInput() : prompt;
        TextGenerator generator = new TextGenerator(loaded, options);
        // Checked before the prompt is printed, so that an error comes alone.
        int[] ids = chat ? generator.encode(conversation(text), false) : generator.encode(text);
        if (!chat) {
            out.print(text);
            out.flush();
        }
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

    private String conversation(String question) {
        ChatTemplate template = Models.chatTemplate(model.name()).orElseThrow(() -> new FailureException("the model '"
                + model.name() + "' has no chat template. Leave --chat out, or use a model that was tuned for chats, whose "
                + "tokenizer_config.json or chat_template.jinja has one"));
        List<ChatTemplate.Message> messages = new ArrayList<>();
        if (system != null) {
            messages.add(new ChatTemplate.Message("system", system));
        }
        messages.add(new ChatTemplate.Message("user", question));
        return template.apply(messages, true);
    }

    private static String standardInput() {
        try {
            return new String(System.in.readAllBytes(), StandardCharsets.UTF_8).stripTrailing();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
