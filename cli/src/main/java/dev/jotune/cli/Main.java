package dev.jotune.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;

/** The entry point of the {@code jotune} command. */
public final class Main {
    private Main() {}

    /** Runs the command and ends the JVM with its exit code: 0 done, 1 failed, 2 wrong usage. */
    public static void main(String[] args) {
        System.exit(run(args, utf8(FileDescriptor.out), utf8(FileDescriptor.err)));
    }

    /** Runs the command inside this JVM and returns its exit code. */
    public static int run(String[] args, PrintWriter out, PrintWriter err) {
        boolean debug = List.of(args).contains("--debug");
        CommandLine commandLine = commandLine().setOut(out).setErr(err);
        commandLine.setParameterExceptionHandler((e, given) -> Errors.usage(e, debug));
        commandLine.setExecutionExceptionHandler((e, c, result) -> Errors.failure(e, err, debug));
        try {
            return commandLine.execute(Arrays.stream(args).map(Main::kebab).toArray(String[]::new));
        } catch (OutOfMemoryError | StackOverflowError e) {
            // picocli hands over exceptions only.
            return Errors.failure(e, err, debug);
        } finally {
            out.flush();
            err.flush();
        }
    }

    static CommandLine commandLine() {
        CommandLine c = new CommandLine(new JotuneCommand());
        CommandLine tune = c.getSubcommands().get("tune");
        MethodOptions.addTo(tune, ((TuneCommand) tune.getCommand()).methodFields);
        return c.setUsageHelpWidth(100).setUsageHelpLongOptionsMaxWidth(32).setOverwrittenOptionsAllowed(false);
    }

    /** {@code --lora_alpha=8} is {@code --lora-alpha=8}: both spellings are in use. */
    private static String kebab(String arg) {
        if (!arg.matches("--[A-Za-z].*")) {
            return arg;
        }
        int end = arg.indexOf('=') < 0 ? arg.length() : arg.indexOf('=');
        return arg.substring(0, end).replace('_', '-') + arg.substring(end);
    }

    /** Texts are UTF-8 whatever the locale says: models write all languages. */
    private static PrintWriter utf8(FileDescriptor stream) {
        return new PrintWriter(new OutputStreamWriter(new FileOutputStream(stream), StandardCharsets.UTF_8), true);
    }
}
