package dev.jotune.cli;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import picocli.CommandLine.Option;

/** Options that every computing command takes. */
final class CommonOptions {
    @Option(names = "--device", paramLabel = "NAME", defaultValue = "cpu",
            description = "What computes; 'jotune devices' lists them. Default: ${DEFAULT-VALUE}.")
    private String device;

    @Option(names = "--threads", paramLabel = "N", description = "How many cores to use. Default: all.")
    private Integer threads;

    @Option(names = "--debug", description = "Prints stack traces.")
    private boolean debug;

    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this help.")
    private boolean help;

    /** The chosen device; sets the number of threads, which kernels read once. */
    Backend backend() {
        if (threads != null) {
            if (threads < 1) {
                throw new UsageException("--threads is " + threads + "; it must be at least 1");
            }
            System.setProperty("jotune.threads", threads.toString());
        }
        try {
            return Backends.get(device);
        } catch (IllegalArgumentException e) {
            throw new UsageException("--device: " + e.getMessage(), e);
        }
    }
}
