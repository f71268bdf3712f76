package dev.jotune.cli;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.chat.ChatTemplate;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.Hypothesis;
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
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune generate}: continues a prompt, printing as it goes. */
@Command(name = "generate", sortOptions = false, description = "Continues a prompt, printing the text as it comes.",
        optionListHeading = "%nOptions:%n")
final class GenerateCommand implements Runnable {
    private static final GenerationDefaults NO_MODEL = new GenerationDefaults(-1, new int[0], -1);

    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Mixin
    private CombinationArguments combination;

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

    @Mixin
    private SearchArguments search;

    @Option(names = "--stats", description = "Prints tokens and speed on the error stream at the end.")
    private boolean stats;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        search.check(sampling.topK());
        combination.check();
        sampling.read(NO_MODEL, !search.isContrastive());
        if (system != null && !chat) {
            throw new UsageException("--system says how a chat begins, but this is none. Add --chat, or put the text into --prompt");
        }
        Backend backend = common.backend();
        Models.Loaded loaded = model.load(backend);
        adapters.attach(loaded.backbone());
        SamplingOptions options = sampling.read(loaded.generation(), !search.isContrastive());
        PrintWriter out = spec.commandLine().getOut();
        String text = prompt.equals("-") ? standardInput() : prompt;
        TextGenerator generator = generator(loaded, options, backend);
        // Checked before the prompt is printed, so that an error comes alone.
        int[] ids = chat ? generator.encode(conversation(text), false) : generator.encode(text);
        // An encoder-decoder and a chat answer their prompt, others continue it.
        String begin = chat || loaded.backbone() instanceof Seq2SeqLm ? "" : text;
        out.print(begin);
        out.flush();
        List<Hypothesis> found = generator.hypotheses(ids, 0, new GenerationListener() {
            @Override
            public void text(String piece) {
                out.print(piece);
                out.flush();
            }
        });
        out.println();
        found.stream().skip(1).forEach(other -> out.println(begin + other.generation().text()));
        out.flush();
        if (stats) {
            Generation g = found.getFirst().generation();
            PrintWriter err = spec.commandLine().getErr();
            err.printf(Locale.ROOT, "%d prompt tokens at %,.0f/s, %d new tokens at %,.1f/s, ended by %s%n", g.promptTokens(),
                    g.promptTokensPerSecond(), g.newTokens(), g.tokensPerSecond(), g.finishReason().name().toLowerCase(Locale.ROOT));
            found.stream().filter(one -> !Double.isNaN(one.score())).forEach(one -> err.printf(Locale.ROOT, "score %.4f%n", one.score()));
            err.flush();
        }
    }

    private TextGenerator generator(Models.Loaded loaded, SamplingOptions options, Backend backend) {
        if (!combination.isGiven()) {
            return search.apply(new TextGenerator(loaded, options), sampling.topK(), backend, Map.of());
        }
        CombinationArguments.Combination combined = combination.read(loaded, backend);
        TextGenerator plain;
        try {
            plain = new TextGenerator(loaded, options).over(combined.model());
        } catch (IllegalArgumentException e) {
            throw new UsageException("--lm: " + e.getMessage(), e);
        }
        return search.apply(plain, sampling.topK(), backend, combined.members());
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
