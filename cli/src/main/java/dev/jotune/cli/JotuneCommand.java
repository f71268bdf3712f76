package dev.jotune.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code jotune} itself: only its subcommands do something. */
@Command(name = "jotune", versionProvider = Version.class, synopsisSubcommandLabel = "COMMAND",
        subcommands = {DemoCommand.class, PretrainCommand.class, TuneCommand.class, CompareCommand.class, GenerateCommand.class,
            EvalCommand.class, ClassifyCommand.class, MergeCommand.class, WeightsCommand.class, CompressCommand.class, PullCommand.class,
            MethodsCommand.class, DevicesCommand.class},
        description = "Tunes language models on the JVM and runs them.",
        commandListHeading = "%nCommands (each has its own --help):%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  jotune demo",
            "  jotune pull OWNER/NAME",
            "  jotune tune --model my-model --method lora --r 16 --data train.jsonl --out my-adapter",
            "  jotune generate --model my-model --adapter my-adapter --prompt \"Once upon a time\"",
            "",
            "Exit codes: 0 done, 1 failed, 2 wrong usage."})
final class JotuneCommand implements Runnable {
    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this help.")
    private boolean help;

    @Option(names = {"-V", "--version"}, versionHelp = true, description = "Shows the version.")
    private boolean version;

    @Option(names = "--debug", hidden = true, description = "Prints stack traces.")
    private boolean debug;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "no command given. Try 'jotune demo'.");
    }
}
