package dev.jotune.peft.decoding;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Combinations of language models as text: {@code base + 1.0*(expert - anti)}.
 *
 * <pre>
 * sum     = product { ("+" | "-") product }
 * product = factor { "*" factor }
 * factor  = number | member | function "(" [ sum { "," sum } ] ")" | "(" sum ")" | "-" factor
 * </pre>
 *
 * Models are added to and subtracted from models and multiplied by numbers; numbers count among themselves. The functions are
 * those of {@link FormulaFunction}. A member that stands in a formula several times runs once.
 */
public final class Formula {

    /** Parentheses may go this deep. */
    private static final int DEEPEST = 100;

    private final String text;
    private final Map<String, LanguageModel> members;
    private int at;
    private int depth;

    private Formula(String text, Map<String, LanguageModel> members) {
        this.text = text;
        this.members = members;
    }

    /**
     * Reads a formula.
     *
     * @param members by the names that the formula calls them
     * @throws IllegalArgumentException saying at which column, counted from 1, what is wrong
     */
    public static LanguageModel parse(String text, Map<String, LanguageModel> members) {
        Formula formula = new Formula(text, members);
        int start = formula.skipSpace();
        Object value = formula.sum();
        if (formula.skipSpace() < text.length()) {
            throw formula.unexpected();
        }
        if (!(value instanceof LanguageModel model)) {
            throw formula.error(start, "the formula is the number " + value + ", not a model. Name a member: " + formula.names());
        }
        if (Logits.members(model).isEmpty()) {
            throw formula.error(start, "all members cancel out, which leaves no model. Give one of them a weight");
        }
        return model;
    }

    private Object sum() {
        Object value = product();
        while (true) {
            int operator = skipSpace();
            boolean minus = peek('-');
            if (!minus && !peek('+')) {
                return value;
            }
            at++;
            value = add(operator, value, minus ? -1 : 1, product());
        }
    }

    private Object add(int operator, Object left, double sign, Object right) {
        if (left instanceof Double a && right instanceof Double b) {
            return a + sign * b;
        }
        if (left instanceof LanguageModel a && right instanceof LanguageModel b) {
            return guarded(operator, () -> a.plus(sign, b));
        }
        throw error(operator, "a number and a model cannot be added or subtracted: a number for every token changes nothing. "
                + "Multiply the model by it, or add models");
    }

    private Object product() {
        Object value = factor();
        while (true) {
            int operator = skipSpace();
            if (!peek('*')) {
                if (at < text.length() && "+-),".indexOf(text.charAt(at)) < 0) {
                    throw unexpected();
                }
                return value;
            }
            at++;
            Object right = factor();
            if (value instanceof LanguageModel && right instanceof LanguageModel) {
                throw error(operator, "two models cannot be multiplied. Add them: the sum of logits is the product of probabilities");
            }
            value = value instanceof Double a && right instanceof Double b ? (Object) (a * b)
                    : value instanceof Double a ? times(operator, a, (LanguageModel) right)
                    : times(operator, (Double) right, (LanguageModel) value);
        }
    }

    private LanguageModel times(int operator, double factor, LanguageModel model) {
        return guarded(operator, () -> model.times(factor));
    }

    private Object factor() {
        int start = skipSpace();
        if (at == text.length()) {
            throw error(start, "the formula ends where a number, a member or ( is expected");
        }
        if (++depth > DEEPEST) {
            throw error(start, "the formula is nested deeper than " + DEEPEST + " levels. Simplify it");
        }
        char c = text.charAt(at);
        Object value;
        if (c == '-') {
            at++;
            Object inner = factor();
            value = inner instanceof Double number ? (Object) (-number) : times(start, -1, (LanguageModel) inner);
        } else if (c == '(') {
            at++;
            value = sum();
            expect(')', "the parenthesis of column " + (start + 1));
        } else if (Character.isDigit(c) || c == '.') {
            value = number();
        } else if (Character.isLetter(c) || c == '_') {
            value = named(start);
        } else {
            throw error(start, "'" + c + "' stands where a number, a member or ( is expected");
        }
        depth--;
        return value;
    }

    private Double number() {
        int start = at;
        while (at < text.length() && (Character.isLetterOrDigit(text.charAt(at)) || text.charAt(at) == '.'
                || at > start && "+-".indexOf(text.charAt(at)) >= 0 && "eE".indexOf(text.charAt(at - 1)) >= 0)) {
            at++;
        }
        String digits = text.substring(start, at);
        // Java would also read 1f and hexadecimal numbers.
        if (!digits.matches("(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?") || Double.isInfinite(Double.parseDouble(digits))) {
            throw error(start, "'" + digits + "' is no number. Write for example 0.5");
        }
        return Double.valueOf(digits);
    }

    private Object named(int start) {
        while (at < text.length() && (Character.isLetterOrDigit(text.charAt(at)) || text.charAt(at) == '_')) {
            at++;
        }
        String name = text.substring(start, at);
        skipSpace();
        if (peek('(')) {
            FormulaFunction function = FormulaFunction.named(name).orElseThrow(() -> error(start, "there is no function '" + name
                    + "'. Functions: " + FormulaFunction.names()));
            at++;
            List<Object> arguments = arguments(start);
            return guarded(start, () -> function.apply(arguments));
        }
        LanguageModel member = members.get(name);
        if (member == null) {
            throw error(start, "there is no member '" + name + "'. Members: " + names());
        }
        return member;
    }

    private List<Object> arguments(int start) {
        List<Object> out = new ArrayList<>();
        skipSpace();
        if (peek(')')) {
            at++;
            return out;
        }
        while (true) {
            out.add(sum());
            skipSpace();
            if (!peek(',')) {
                expect(')', "the arguments of column " + (start + 1));
                return out;
            }
            at++;
        }
    }

    private void expect(char wanted, String of) {
        if (skipSpace() == text.length() || text.charAt(at) != wanted) {
            throw error(at, "a '" + wanted + "' that ends " + of + " is missing");
        }
        at++;
    }

    private boolean peek(char wanted) {
        return at < text.length() && text.charAt(at) == wanted;
    }

    private int skipSpace() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        return at;
    }

    private String names() {
        return String.join(", ", new TreeSet<>(members.keySet()));
    }

    private IllegalArgumentException unexpected() {
        return error(at, "'" + text.charAt(at) + "' stands where +, -, * or the end is expected");
    }

    /** What the algebra refuses is said with the place. */
    private <T> T guarded(int column, Supplier<T> work) {
        try {
            return work.get();
        } catch (IllegalArgumentException e) {
            throw error(column, e.getMessage());
        }
    }

    private IllegalArgumentException error(int index, String message) {
        return new IllegalArgumentException("column " + (index + 1) + " of '" + text + "': " + message
                + (message.endsWith(".") ? "" : "."));
    }
}
