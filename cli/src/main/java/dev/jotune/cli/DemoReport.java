package dev.jotune.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;

/** The demo's page: one HTML file that needs nothing else. */
final class DemoReport {
    private DemoReport() {}

    static String html(DemoResult r) {
        Map<String, String> holes = Map.of(
                "before", percent(r.excitementBefore()), "after", percent(r.excitementAfter()),
                "tiles", tiles(r), "chart", LossChart.svg(r.training().losses()),
                "settings", settings(r.settings()), "samples", samples(r),
                "counts", escape(r.excitementBefore() + " before, " + r.excitementAfter() + " after"),
                "version", escape(version()),
                "beforeWidth", width(r.excitementBefore()), "afterWidth", width(r.excitementAfter()));
        String page = template();
        for (Map.Entry<String, String> e : holes.entrySet()) {
            page = page.replace("{{" + e.getKey() + "}}", e.getValue());
        }
        return page;
    }

    private static String template() {
        try (InputStream in = DemoReport.class.getResourceAsStream("demo/report.html")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String version() {
        try {
            return Version.number();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String percent(Excitement e) {
        return String.format(Locale.ROOT, "%.0f%%", 100 * e.share());
    }

    private static String width(Excitement e) {
        return String.format(Locale.ROOT, "%.1f", 100 * e.share());
    }

    private static String tiles(DemoResult r) {
        return tile("training", String.format(Locale.ROOT, "%.1f s", r.training().seconds()),
                    String.format(Locale.ROOT, "%,d steps", r.training().steps()))
                + tile("training speed", String.format(Locale.ROOT, "%,.0f", r.training().tokensPerSecond()), "tokens a second")
                + tile("writing speed", String.format(Locale.ROOT, "%,.0f", r.samplingTokensPerSecond()), "tokens a second, one text")
                + tile("tensor memory", Bytes.text(r.training().peakBytes()), "peak while training")
                + tile("process memory", Bytes.text(r.training().peakResidentBytes()), "peak, the JVM included")
                + tile("whole demo", String.format(Locale.ROOT, "%.1f s", r.seconds()), "from start to report");
    }

    private static String tile(String name, String value, String note) {
        return "<div class=\"tile\"><span>" + escape(name) + "</span><b>" + escape(value) + "</b><small>" + escape(note)
                + "</small></div>\n";
    }

    private static String settings(Map<String, String> settings) {
        StringBuilder out = new StringBuilder();
        settings.forEach((k, v) -> out.append("<tr><th>").append(escape(k)).append("</th><td>").append(escape(v)).append("</td></tr>\n"));
        return out.toString();
    }

    private static String samples(DemoResult r) {
        StringBuilder out = new StringBuilder();
        for (int p = 0; p < r.prompts().size(); p++) {
            for (int i = 0; i < r.before().get(p).size(); i++) {
                out.append(i == 0 ? "<h3>" + escape(r.prompts().get(p)) + " …</h3>\n" : "")
                        .append("<div class=\"pair\">")
                        .append(cell(r.prompts().get(p), r.before().get(p).get(i)))
                        .append(cell(r.prompts().get(p), r.after().get(p).get(i)))
                        .append("</div>\n");
            }
        }
        return out.toString();
    }

    private static String cell(String prompt, String text) {
        return "<p><i>" + escape(prompt) + "</i>" + escape(text).replaceAll("!", "<mark>!</mark>") + "</p>";
    }

    static String escape(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) {
            out.append(switch (c) {
                case '&' -> "&amp;";
                case '<' -> "&lt;";
                case '>' -> "&gt;";
                case '"' -> "&quot;";
                default -> String.valueOf(c);
            });
        }
        return out.toString();
    }
}
