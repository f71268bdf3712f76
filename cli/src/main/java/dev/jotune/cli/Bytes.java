package dev.jotune.cli;

import java.util.Locale;

/** Amounts of memory for people. */
final class Bytes {
    private Bytes() {}

    static String text(long bytes) {
        if (bytes < 0) {
            return "unknown";
        }
        double mib = bytes / (double) (1 << 20);
        return mib < 1024 ? String.format(Locale.ROOT, "%.1f MiB", mib) : String.format(Locale.ROOT, "%.2f GiB", mib / 1024);
    }
}
