package dev.jotune.cli;

import dev.jotune.models.ModelException;
import dev.jotune.models.tokenizer.TokenizerException;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.DeviceException;
import dev.jotune.tensor.io.FormatException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** Turns whatever went wrong into one line on the error stream and an exit code. */
final class Errors {
    static final int OK = 0;
    static final int FAILURE = 1;
    static final int USAGE = 2;

    private Errors() {}

    /** For options that picocli could not read. */
    static int usage(ParameterException e, boolean debug) {
        CommandLine command = e.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        print(command.getErr(), sentence(e.getMessage()) + " '" + name + " --help' lists the options.", e, debug);
        return USAGE;
    }

    /** For everything that a command threw. */
    static int failure(Throwable e, PrintWriter err, boolean debug) {
        print(err, text(e), e, debug);
        return e instanceof UsageException ? USAGE : FAILURE;
    }

    private static void print(PrintWriter err, String message, Throwable e, boolean debug) {
        err.println("jotune: " + message.strip().replaceAll("\\s*\\R\\s*", " "));
        if (debug) {
            e.printStackTrace(err);
        }
        err.flush();
    }

    /** What went wrong, in a line. */
    static String text(Throwable e) {
        return message(e).strip().replaceAll("\\s*\\R\\s*", " ");
    }

    private static String message(Throwable e) {
        return switch (e) {
            case OutOfMemoryError oom -> outOfMemory(oom);
            case StackOverflowError _ -> "the input is nested too deeply. Check the JSON files, or raise the limit with "
                    + "JOTUNE_JAVA_OPTS=-Xss64m.";
            case UncheckedIOException io -> message(io.getCause());
            case NoSuchFileException missing -> "there is no file " + missing.getFile() + ". Check the path.";
            case AccessDeniedException denied -> denied.getFile() + " may not be read or written by you. Check its permissions.";
            case FileSystemException fs -> fs.getFile() + ": " + (fs.getReason() == null ? fs.getClass().getSimpleName() : fs.getReason())
                    + ". Check the path and the disk.";
            case IOException io -> sentence(said(io));
            case UsageException u -> sentence(u.getMessage());
            case FailureException f -> sentence(f.getMessage());
            case ModelException m -> sentence(m.getMessage());
            case AdapterException a -> sentence(a.getMessage());
            case TokenizerException t -> sentence(t.getMessage());
            case FormatException f -> sentence(f.getMessage());
            case DeviceException d -> sentence(d.getMessage());
            case IllegalArgumentException a when a.getMessage() != null -> sentence(a.getMessage());
            case IllegalStateException s when s.getMessage() != null -> sentence(s.getMessage());
            case ArithmeticException a when a.getMessage() != null -> sentence(a.getMessage());
            default -> "internal error: " + e + ". Run the command again with --debug and report what it prints.";
        };
    }

    private static String outOfMemory(OutOfMemoryError e) {
        String said = said(e);
        boolean tensors = said.contains("tensor");
        return tensors ? sentence(said) : "out of memory (" + said + "). Give Java more with JOTUNE_JAVA_OPTS=-Xmx8g, or use a "
                + "smaller --batch-size or --max-length.";
    }

    private static String said(Throwable e) {
        return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }

    private static String sentence(String text) {
        String t = text == null ? "no reason given" : text.strip();
        return t.endsWith(".") || t.endsWith("?") || t.endsWith("!") ? t : t + ".";
    }
}
