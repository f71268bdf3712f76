package dev.jotune.models.chat;

import java.math.BigDecimal;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;

/** How values read: Python's {@code str} and {@code repr}. */
final class Text {

    private Text() {}

    /** What {@code str.strip} takes for white space. */
    static boolean isSpace(int c) {
        return c == ' ' || c >= 0x09 && c <= 0x0D || c >= 0x1C && c <= 0x1F || c == 0x85 || c == 0xA0 || c == 0x1680
                || c >= 0x2000 && c <= 0x200A || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
    }

    /** The text without the characters {@code of} (white space where null) at its ends. */
    static String strip(String text, String of, boolean left, boolean right) {
        IntPredicate stripped = of == null ? Text::isSpace : c -> of.indexOf(c) >= 0;
        int start = 0;
        int end = text.length();
        while (left && start < end && stripped.test(text.codePointAt(start))) {
            start += Character.charCount(text.codePointAt(start));
        }
        while (right && end > start && stripped.test(text.codePointBefore(end))) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(start, end);
    }

    /** The value as it is printed. */
    static String str(Object value, Budget budget) {
        if (value instanceof String text) {
            return text;
        }
        StringBuilder out = new StringBuilder();
        if (!(value instanceof Undefined)) {
            repr(value, out, budget, 0);
        }
        return out.toString();
    }

    static void repr(Object value, StringBuilder out, Budget budget, int depth) {
        budget.step();
        if (depth > Budget.DEEPEST_CALL) {
            throw new ChatTemplateException("A value is nested more than " + Budget.DEEPEST_CALL
                    + " deep. Use a simpler conversation or template.");
        }
        int before = out.length();
        switch (value) {
            case String text -> quote(text, out);
            case Boolean truth -> out.append(truth ? "True" : "False");
            case Double number -> out.append(number(number));
            case Undefined _ -> out.append("Undefined");
            case Tuple items -> {
                list(items, "(", items.size() == 1 ? ",)" : ")", out, budget, depth);
                return;
            }
            case List<?> items -> {
                list(items, "[", "]", out, budget, depth);
                return;
            }
            case Map<?, ?> entries -> {
                out.append('{');
                String comma = "";
                for (Map.Entry<?, ?> entry : entries.entrySet()) {
                    out.append(comma);
                    repr(entry.getKey(), out, budget, depth + 1);
                    out.append(": ");
                    repr(entry.getValue(), out, budget, depth + 1);
                    comma = ", ";
                }
                out.append('}');
                return;
            }
            case Long _, None _ -> out.append(value);
            default -> throw new ChatTemplateException("The chat template prints a " + Values.type(value)
                    + ". Print what it gives instead.");
        }
        budget.make(out.length() - before);
    }

    private static void list(List<?> items, String open, String close, StringBuilder out, Budget budget, int depth) {
        out.append(open);
        for (Iterator<?> rest = items.iterator(); rest.hasNext(); ) {
            repr(rest.next(), out, budget, depth + 1);
            if (rest.hasNext()) {
                out.append(", ");
            }
        }
        out.append(close);
    }

    /** The shortest decimals that give the number; with an exponent below 1e-4 and from 1e16 on. */
    static String number(double number) {
        if (Double.isNaN(number)) {
            return "nan";
        }
        if (Double.isInfinite(number)) {
            return number > 0 ? "inf" : "-inf";
        }
        if (number == 0) {
            return 1 / number < 0 ? "-0.0" : "0.0";
        }
        BigDecimal exact = new BigDecimal(Double.toString(number)).stripTrailingZeros();
        int exponent = exact.precision() - exact.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = exact.toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String digits = exact.unscaledValue().abs().toString();
        return (number < 0 ? "-" : "") + digits.charAt(0) + (digits.length() > 1 ? "." + digits.substring(1) : "")
                + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    private static void quote(String text, StringBuilder out) {
        char mark = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        out.append(mark);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == mark) {
                        out.append('\\').append(mark);
                    } else if (isPrintable(c)) {
                        out.appendCodePoint(c);
                    } else {
                        out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
                    }
                }
            }
        });
        out.append(mark);
    }

    private static boolean isPrintable(int c) {
        return c == ' ' || switch (Character.getType(c)) {
            case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.UNASSIGNED,
                    Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SPACE_SEPARATOR -> false;
            default -> true;
        };
    }
}
