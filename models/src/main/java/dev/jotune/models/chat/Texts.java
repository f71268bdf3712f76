package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** What Python's methods of texts do. */
final class Texts {

    private Texts() {}

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.offsetByCodePoints(0, 1);
        return text.substring(0, first).toUpperCase(Locale.ROOT) + text.substring(first).toLowerCase(Locale.ROOT);
    }

    static String title(String text) {
        StringBuilder result = new StringBuilder();
        boolean[] within = {false};
        text.codePoints().forEach(c -> {
            result.appendCodePoint(within[0] ? Character.toLowerCase(c) : Character.toTitleCase(c));
            within[0] = Character.isLetter(c);
        });
        return result.toString();
    }

    /** Cuts at {@code separator}, or (null) at runs of white space; at most {@code most} times where that is not below 0. */
    static List<Object> split(String text, String separator, long most, boolean fromEnd) {
        if (separator == null) {
            return words(text, most, fromEnd);
        }
        if (separator.isEmpty()) {
            throw new ChatTemplateException("The chat template splits a text at an empty separator. Name one.");
        }
        List<Object> parts = new ArrayList<>();
        if (fromEnd) {
            int end = text.length();
            for (long cuts = 0; most < 0 || cuts < most; cuts++) {
                int at = end < separator.length() ? -1 : text.lastIndexOf(separator, end - separator.length());
                if (at < 0) {
                    break;
                }
                parts.add(text.substring(at + separator.length(), end));
                end = at;
            }
            parts.add(text.substring(0, end));
            Collections.reverse(parts);
            return parts;
        }
        int start = 0;
        for (long cuts = 0; most < 0 || cuts < most; cuts++) {
            int at = text.indexOf(separator, start);
            if (at < 0) {
                break;
            }
            parts.add(text.substring(start, at));
            start = at + separator.length();
        }
        parts.add(text.substring(start));
        return parts;
    }

    private static List<Object> words(String text, long most, boolean fromEnd) {
        List<Object> words = new ArrayList<>();
        int step = fromEnd ? -1 : 1;
        int at = fromEnd ? text.length() - 1 : 0;
        while (true) {
            while (within(text, at) && Text.isSpace(text.charAt(at))) {
                at += step;
            }
            if (!within(text, at)) {
                break;
            }
            int begin = at;
            boolean last = most >= 0 && words.size() >= most;
            while (within(text, at) && (last || !Text.isSpace(text.charAt(at)))) {
                at += step;
            }
            String word = fromEnd ? text.substring(at + 1, begin + 1) : text.substring(begin, at);
            words.add(word);
        }
        if (fromEnd) {
            Collections.reverse(words);
        }
        return words;
    }

    private static boolean within(String text, int at) {
        return at >= 0 && at < text.length();
    }

    static List<Object> lines(String text, boolean keepEnds) {
        List<Object> lines = new ArrayList<>();
        for (int i = 0; i < text.length(); ) {
            int end = i;
            while (end < text.length() && !isLineEnd(text.charAt(end))) {
                end++;
            }
            int next = end == text.length() ? end : text.startsWith("\r\n", end) ? end + 2 : end + 1;
            lines.add(text.substring(i, keepEnds ? next : end));
            i = next;
        }
        return lines;
    }

    private static boolean isLineEnd(char c) {
        return c >= 0x0A && c <= 0x0D || c >= 0x1C && c <= 0x1E || c == 0x85 || c == 0x2028 || c == 0x2029;
    }

    static String replace(String text, String old, String with, long most, Budget budget) {
        StringBuilder result = new StringBuilder();
        int start = 0;
        for (long count = 0; most < 0 || count < most; count++) {
            int at = text.indexOf(old, start + (old.isEmpty() && count > 0 ? 1 : 0));
            if (at < 0 || old.isEmpty() && count > text.length()) {
                break;
            }
            budget.make(with.length());
            result.append(text, start, at).append(with);
            start = at + old.length();
        }
        return result.append(text, start, text.length()).toString();
    }

    static String join(String separator, List<Object> items, Budget budget) {
        StringBuilder result = new StringBuilder();
        for (int i = 0; i < items.size(); i++) {
            String item = Values.text(items.get(i), "join");
            budget.make((long) separator.length() + item.length());
            result.append(i == 0 ? "" : separator).append(item);
        }
        return result.toString();
    }
}
