package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What operators do with values, as in Python. */
final class Operators {

    private final Budget budget;

    Operators(Budget budget) {
        this.budget = budget;
    }

    Object binary(String operator, Object a, Object b) {
        if (operator.equals("~")) {
            String left = Text.str(a, budget);
            String right = Text.str(b, budget);
            budget.make((long) left.length() + right.length());
            return left + right;
        }
        for (Object value : new Object[] {a, b}) {
            if (value instanceof Undefined undefined) {
                throw undefined.error();
            }
        }
        if (operator.equals("+") && a instanceof String left && b instanceof String right) {
            budget.make((long) left.length() + right.length());
            return left + right;
        }
        if (operator.equals("+") && a instanceof List<?> left && b instanceof List<?> right
                && left instanceof Tuple == right instanceof Tuple) {
            budget.make((long) left.size() + right.size());
            List<Object> joined = new ArrayList<>(left);
            joined.addAll(right);
            return left instanceof Tuple ? new Tuple(joined) : joined;
        }
        if (operator.equals("*") && (Values.isWhole(a) || Values.isWhole(b))) {
            Object repeated = Values.isWhole(a) ? b : a;
            long times = Math.max(0, Values.whole(repeated == b ? a : b));
            if (repeated instanceof String text) {
                budget.make(product(text.length(), times));
                return text.repeat((int) (text.isEmpty() ? 0 : times));
            }
            if (repeated instanceof List<?> items) {
                budget.make(product(items.size(), times));
                List<Object> result = new ArrayList<>();
                for (long i = 0; i < times && !items.isEmpty(); i++) {
                    result.addAll(items);
                }
                return result;
            }
        }
        if (!Values.isNumber(a) || !Values.isNumber(b)) {
            throw new ChatTemplateException("The chat template calculates " + Values.type(a) + " " + operator + " "
                    + Values.type(b) + ", which has no result. Correct the template or the messages.");
        }
        return calculate(operator, a, b);
    }

    private static long product(long a, long b) {
        return a == 0 || b == 0 ? 0 : Math.multiplyHigh(a, b) != 0 || a * b < 0 ? Long.MAX_VALUE : a * b;
    }

    private static Object calculate(String operator, Object a, Object b) {
        boolean whole = Values.isWhole(a) && Values.isWhole(b);
        if ("/ // %".contains(operator) && Values.real(b) == 0) {
            throw new ChatTemplateException("The chat template divides by zero. Correct the template or the messages.");
        }
        try {
            if (whole && !operator.equals("/")) {
                long left = Values.whole(a);
                long right = Values.whole(b);
                switch (operator) {
                    case "+" -> {
                        return Math.addExact(left, right);
                    }
                    case "-" -> {
                        return Math.subtractExact(left, right);
                    }
                    case "*" -> {
                        return Math.multiplyExact(left, right);
                    }
                    case "//" -> {
                        return Math.floorDiv(left, right);
                    }
                    case "%" -> {
                        return Math.floorMod(left, right);
                    }
                    default -> {
                        if (right >= 0) {
                            return Math.powExact(left, Math.toIntExact(right));
                        }
                    }
                }
            }
        } catch (ArithmeticException e) {
            throw new ChatTemplateException("The chat template calculates " + a + " " + operator + " " + b
                    + ", which is beyond 64 bits. Correct the template or the messages.");
        }
        double left = Values.real(a);
        double right = Values.real(b);
        return switch (operator) {
            case "+" -> left + right;
            case "-" -> left - right;
            case "*" -> left * right;
            case "/" -> left / right;
            case "//" -> Math.floor(left / right);
            case "%" -> left - right * Math.floor(left / right);
            default -> Math.pow(left, right);
        };
    }

    boolean compare(String operator, Object a, Object b) {
        return switch (operator) {
            case "==" -> Values.equal(a, b, budget);
            case "!=" -> !Values.equal(a, b, budget);
            case "in" -> Values.contains(b, a, budget);
            case "not in" -> !Values.contains(b, a, budget);
            case "<" -> ordered(a, b) < 0;
            case "<=" -> ordered(a, b) <= 0;
            case ">" -> ordered(a, b) > 0;
            default -> ordered(a, b) >= 0;
        };
    }

    private static int ordered(Object a, Object b) {
        for (Object value : new Object[] {a, b}) {
            if (value instanceof Undefined undefined) {
                throw undefined.error();
            }
        }
        return Values.compare(a, b);
    }

    /** {@code of[key]}; where there is none, an undefined value. */
    Object item(Object of, Object key) {
        return switch (of) {
            case Map<?, ?> entries -> {
                Object value = entries.get(key);
                yield value != null ? value : new Undefined("the key " + key);
            }
            case Tuple items when Values.isWhole(key) -> element(items, Values.whole(key));
            case List<?> items when Values.isWhole(key) -> element(items, Values.whole(key));
            case String text when Values.isWhole(key) -> {
                int length = text.codePointCount(0, text.length());
                budget.scan(text.length());
                long at = Values.whole(key) + (Values.whole(key) < 0 ? length : 0);
                yield at < 0 || at >= length ? new Undefined("element " + key + " of a text")
                        : Character.toString(text.codePointAt(text.offsetByCodePoints(0, (int) at)));
            }
            case Undefined undefined -> throw undefined.error();
            default -> new Undefined("the key " + (key instanceof String || Values.isNumber(key) ? key : Values.type(key))
                    + " of a " + Values.type(of));
        };
    }

    private static Object element(List<?> items, long key) {
        long at = key < 0 ? key + items.size() : key;
        return at < 0 || at >= items.size() ? new Undefined("element " + key + " of a list of " + items.size())
                : items.get((int) at);
    }

    /** {@code of[from:to:step]}, with Python's rules for negative and missing bounds. */
    Object slice(Object of, Optional<Long> from, Optional<Long> to, Optional<Long> stepOrNone) {
        if (of instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (!(of instanceof String) && !(of instanceof List<?>)) {
            throw new ChatTemplateException("The chat template takes a slice of a " + Values.type(of)
                    + ". Only lists and texts have slices.");
        }
        List<Object> items = Values.elements(of, budget);
        long step = stepOrNone.orElse(1L);
        if (step == 0) {
            throw new ChatTemplateException("The chat template takes a slice in steps of 0. Use another step.");
        }
        int size = items.size();
        long start = bound(from, size, step > 0 ? 0 : size - 1, step);
        long stop = bound(to, size, step > 0 ? size : -1, step);
        List<Object> result = new ArrayList<>();
        for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
            result.add(items.get((int) i));
        }
        if (of instanceof String) {
            StringBuilder text = new StringBuilder();
            result.forEach(text::append);
            return text.toString();
        }
        return of instanceof Tuple ? new Tuple(result) : result;
    }

    private static long bound(Optional<Long> given, int size, long missing, long step) {
        if (given.isEmpty()) {
            return missing;
        }
        long at = given.get() < 0 ? given.get() + size : given.get();
        return Math.clamp(at, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
    }
}
