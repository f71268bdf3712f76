package dev.jotune.cli;

import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The demo's measure: the share of sentences that end with an exclamation mark. A sentence ends at a run of
 * {@code . ! ?}; the run's last character decides.
 *
 * @param exclamations sentence ends that are exclamation marks
 * @param sentences all sentence ends
 */
record Excitement(int exclamations, int sentences) {
    private static final Pattern END = Pattern.compile("[.!?]+");

    static Excitement of(List<String> texts) {
        int all = 0;
        int excited = 0;
        for (String text : texts) {
            Matcher m = END.matcher(text);
            while (m.find()) {
                all++;
                excited += m.group().endsWith("!") ? 1 : 0;
            }
        }
        return new Excitement(excited, all);
    }

    /** In [0, 1]; 0 where no sentence ends. */
    double share() {
        return (double) exclamations / Math.max(1, sentences);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%.1f%% (%d of %d)", 100 * share(), exclamations, sentences);
    }
}
