package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Values of templates: texts, Long, Double, Boolean, {@link None}, lists, maps, namespaces, functions. */
final class Values {

    private static final int DEEPEST = 200;

    private Values() {}

    /** A Java value as one of a template's; numbers become Long or Double, arrays and other classes are refused. */
    static Object of(Object value, String where) {
        return of(value, where, 0);
    }

    private static Object of(Object value, String where, int depth) {
        if (depth > DEEPEST) {
            throw new ChatTemplateException(where + " is nested more than " + DEEPEST + " deep. Use a simpler value.");
        }
        return switch (value) {
            case null -> None.NONE;
            case String _, Boolean _, Long _, Double _, None _ -> value;
            case Integer number -> number.longValue();
            case Float number -> number.doubleValue();
            case List<?> items -> items.stream().map(item -> of(item, where, depth + 1))
                    .collect(Collectors.toCollection(ArrayList::new));
            case Map<?, ?> entries -> {
                Map<Object, Object> copy = new LinkedHashMap<>();
                entries.forEach((key, item) -> copy.put(of(key, where, depth + 1), of(item, where, depth + 1)));
                yield copy;
            }
            default -> throw new ChatTemplateException(where + " holds a " + value.getClass().getSimpleName()
                    + ". Pass text, numbers, booleans, lists and maps.");
        };
    }

    static String type(Object value) {
        return switch (value) {
            case String _ -> "text";
            case Long _ -> "whole number";
            case Double _ -> "number";
            case Boolean _ -> "boolean";
            case None _ -> "None";
            case List<?> _ -> "list";
            case Map<?, ?> _ -> "dictionary";
            case Undefined undefined -> "undefined value (" + undefined.what() + ")";
            case Namespace _ -> "namespace";
            case Callable _ -> "function";
            default -> "loop";
        };
    }

    static boolean truth(Object value) {
        return switch (value) {
            case Boolean truth -> truth;
            case String text -> !text.isEmpty();
            case Long number -> number != 0;
            case Double number -> number != 0;
            case None _ -> false;
            case Undefined _ -> false;
            case List<?> items -> !items.isEmpty();
            case Map<?, ?> entries -> !entries.isEmpty();
            default -> true;
        };
    }

    static boolean isNumber(Object value) {
        return value instanceof Long || value instanceof Double || value instanceof Boolean;
    }

    static boolean isWhole(Object value) {
        return value instanceof Long || value instanceof Boolean;
    }

    static long whole(Object value) {
        return switch (value) {
            case Long number -> number;
            case Boolean truth -> truth ? 1 : 0;
            case Undefined undefined -> throw undefined.error();
            default -> throw new ChatTemplateException("The chat template uses a " + type(value)
                    + " where a whole number belongs. Correct the template.");
        };
    }

    static double real(Object value) {
        return value instanceof Double number ? number : whole(value);
    }

    static String text(Object value, String where) {
        if (value instanceof String text) {
            return text;
        }
        if (value instanceof Undefined undefined) {
            throw undefined.error();
        }
        throw new ChatTemplateException("The chat template gives " + where + " a " + type(value)
                + " where text belongs. Pass text.");
    }

    /** The elements of a value: of a list, the keys of a dictionary, the characters of a text. */
    static List<Object> elements(Object value, Budget budget) {
        return switch (value) {
            case List<?> items -> {
                budget.make(items.size());
                yield new ArrayList<>(items);
            }
            case Map<?, ?> entries -> {
                budget.make(entries.size());
                yield new ArrayList<>(entries.keySet());
            }
            case String text -> {
                budget.make(text.length());
                yield text.codePoints().mapToObj(Character::toString).collect(Collectors.toCollection(ArrayList::new));
            }
            case Undefined _ -> new ArrayList<>();
            default -> throw new ChatTemplateException("The chat template goes through a " + type(value)
                    + ", which has no elements. Pass a list.");
        };
    }

    static boolean equal(Object a, Object b, Budget budget) {
        return equal(a, b, budget, 0);
    }

    private static boolean equal(Object a, Object b, Budget budget, int depth) {
        budget.step();
        if (isNumber(a) && isNumber(b)) {
            return isWhole(a) && isWhole(b) ? whole(a) == whole(b) : real(a) == real(b);
        }
        if (depth > DEEPEST) {
            throw new ChatTemplateException("Values to compare are nested more than " + DEEPEST + " deep. Use simpler ones.");
        }
        if (a instanceof List<?> left && b instanceof List<?> right) {
            if (left.size() != right.size() || left instanceof Tuple != right instanceof Tuple) {
                return false;
            }
            Iterator<?> others = right.iterator();
            for (Object item : left) {
                if (!equal(item, others.next(), budget, depth + 1)) {
                    return false;
                }
            }
            return true;
        }
        if (a instanceof Map<?, ?> left && b instanceof Map<?, ?> right) {
            if (left.size() != right.size()) {
                return false;
            }
            for (Map.Entry<?, ?> entry : left.entrySet()) {
                if (!right.containsKey(entry.getKey())
                        || !equal(entry.getValue(), right.get(entry.getKey()), budget, depth + 1)) {
                    return false;
                }
            }
            return true;
        }
        if (a instanceof String text) {
            budget.scan(text.length());
        }
        return a instanceof Undefined ? b instanceof Undefined : a instanceof String || a instanceof None ? a.equals(b)
                : a == b;
    }

    /** The order of numbers and of texts (by code point); of nothing else. */
    static int compare(Object a, Object b) {
        if (isNumber(a) && isNumber(b)) {
            return isWhole(a) && isWhole(b) ? Long.compare(whole(a), whole(b)) : Double.compare(real(a), real(b));
        }
        if (a instanceof String left && b instanceof String right) {
            return compareText(left, right);
        }
        throw new ChatTemplateException("The chat template compares a " + type(a) + " with a " + type(b)
                + ", which have no order. Correct the template or the messages.");
    }

    static int compareText(String a, String b) {
        int i = 0;
        while (i < a.length() && i < b.length()) {
            int left = a.codePointAt(i);
            int right = b.codePointAt(i);
            if (left != right) {
                return Integer.compare(left, right);
            }
            i += Character.charCount(left);
        }
        return Integer.compare(a.length(), b.length());
    }

    static boolean contains(Object container, Object item, Budget budget) {
        return switch (container) {
            case String text -> {
                budget.scan(text.length());
                yield text.contains(text(item, "'in'"));
            }
            case Map<?, ?> entries -> entries.containsKey(item);
            case List<?> items -> {
                for (Object candidate : items) {
                    if (equal(candidate, item, budget)) {
                        yield true;
                    }
                }
                yield false;
            }
            case Undefined _ -> false;
            default -> throw new ChatTemplateException("The chat template looks for something in a " + type(container)
                    + ". Pass text, a list or a dictionary.");
        };
    }
}
