package dev.jotune.models.chat;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes values as Python's {@code json.dumps} does.
 *
 * @param ascii whether other characters than ASCII are escaped
 * @param indent what a level is indented by, or null for all on one line
 */
record Json(boolean ascii, String indent, String comma, String colon, boolean sortKeys, Budget budget) {

    String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out, 0);
        return out.toString();
    }

    private void write(Object value, StringBuilder out, int depth) {
        budget.step();
        if (depth > Budget.DEEPEST_CALL) {
            throw new ChatTemplateException("A value for tojson is nested more than " + Budget.DEEPEST_CALL
                    + " deep. Use a simpler one.");
        }
        int before = out.length();
        switch (value) {
            case String text -> quote(text, out);
            case Boolean truth -> out.append(truth);
            case None _ -> out.append("null");
            case Long number -> out.append(number);
            case Double number -> out.append(Double.isNaN(number) ? "NaN"
                    : Double.isInfinite(number) ? number > 0 ? "Infinity" : "-Infinity" : Text.number(number));
            case List<?> items -> {
                elements('[', ']', items.iterator(), out, depth, item -> write(item, out, depth + 1));
                return;
            }
            case Map<?, ?> entries -> {
                Map<?, ?> ordered = sortKeys ? sorted(entries) : entries;
                elements('{', '}', ordered.entrySet().iterator(), out, depth, entry -> {
                    quote(key(entry.getKey()), out);
                    out.append(colon);
                    write(entry.getValue(), out, depth + 1);
                });
                return;
            }
            case Undefined undefined -> throw undefined.error();
            default -> throw new ChatTemplateException("The chat template passes a " + Values.type(value)
                    + " to tojson. Pass text, numbers, lists and dictionaries.");
        }
        budget.make(out.length() - before);
    }

    private static Map<String, Object> sorted(Map<?, ?> entries) {
        Map<String, Object> sorted = new TreeMap<>((a, b) -> Values.compareText(a, b));
        entries.forEach((key, value) -> sorted.put(key(key), value));
        return sorted;
    }

    private static String key(Object key) {
        return switch (key) {
            case String text -> text;
            case Boolean truth -> truth.toString();
            case None _ -> "null";
            case Double number -> Text.number(number);
            default -> key.toString();
        };
    }

    private <T> void elements(char open, char close, Iterator<T> rest, StringBuilder out, int depth,
            java.util.function.Consumer<T> element) {
        out.append(open);
        if (!rest.hasNext()) {
            out.append(close);
            return;
        }
        while (rest.hasNext()) {
            newLine(out, depth + 1);
            element.accept(rest.next());
            if (rest.hasNext()) {
                out.append(comma);
            }
        }
        newLine(out, depth);
        out.append(close);
    }

    private void newLine(StringBuilder out, int depth) {
        if (indent != null) {
            budget.make((long) indent.length() * depth + 1);
            out.append('\n').repeat(indent, depth);
        }
    }

    private void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            int simple = "\"\\\n\r\t\b\f".indexOf(c);
            if (simple >= 0) {
                out.append('\\').append("\"\\nrtbf".charAt(simple));
            } else if (c < 0x20 || ascii && c > 0x7E) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
