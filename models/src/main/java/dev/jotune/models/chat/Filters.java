package dev.jotune.models.chat;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/** Jinja's filters: those that make sense in a conversation. */
final class Filters {

    private final Budget budget;
    private final Operators operators;
    private final Tests tests;

    Filters(Budget budget, Operators operators, Tests tests) {
        this.budget = budget;
        this.operators = operators;
        this.tests = tests;
    }

    Object apply(String name, Object value, List<Object> arguments, Map<String, Object> named) {
        budget.step();
        return switch (name) {
            case "trim" -> {
                Object characters = new Arguments(name, arguments, named, "chars").or(0, None.NONE);
                yield Text.strip(string(value), characters == None.NONE ? null : Values.text(characters, name), true, true);
            }
            case "lower" -> string(value).toLowerCase(Locale.ROOT);
            case "upper" -> string(value).toUpperCase(Locale.ROOT);
            case "title" -> Texts.title(string(value));
            case "capitalize" -> Texts.capitalize(string(value));
            case "string", "safe" -> string(value);
            case "e", "escape" -> escaped(string(value));
            case "replace" -> {
                Arguments given = new Arguments(name, arguments, named, "old", "new", "count");
                Object count = given.or(2, None.NONE);
                yield Texts.replace(string(value), string(given.required(0)), string(given.required(1)),
                        count == None.NONE ? -1 : Values.whole(count), budget);
            }
            case "join" -> {
                Arguments given = new Arguments(name, arguments, named, "d", "attribute");
                UnaryOperator<Object> part = attribute(given.or(1, None.NONE));
                List<Object> texts = new ArrayList<>();
                Values.elements(value, budget).forEach(item -> texts.add(string(part.apply(item))));
                yield Texts.join(string(given.or(0, "")), texts, budget);
            }
            case "length", "count" -> length(value);
            case "first", "last" -> {
                List<Object> items = Values.elements(value, budget);
                yield items.isEmpty() ? new Undefined("the " + name + " element of nothing")
                        : name.equals("first") ? items.getFirst() : items.getLast();
            }
            case "list" -> Values.elements(value, budget);
            case "reverse" -> {
                List<Object> items = Values.elements(value, budget);
                Collections.reverse(items);
                yield value instanceof String ? Texts.join("", items, budget) : items;
            }
            case "int" -> integer(value, new Arguments(name, arguments, named, "default").or(0, 0L));
            case "float" -> real(value, new Arguments(name, arguments, named, "default").or(0, 0.0));
            case "abs" -> value instanceof Double number ? Math.abs(number) : (Object) Math.abs(Values.whole(value));
            case "round" -> round(value, new Arguments(name, arguments, named, "precision", "method"));
            case "default", "d" -> {
                Arguments given = new Arguments(name, arguments, named, "default_value", "boolean");
                boolean absent = value instanceof Undefined || Values.truth(given.or(1, false)) && !Values.truth(value);
                yield absent ? given.or(0, "") : value;
            }
            case "tojson" -> json(value, new Arguments(name, arguments, named, "ensure_ascii", "indent", "separators",
                    "sort_keys"));
            case "items" -> value instanceof Undefined ? new ArrayList<>()
                    : new Methods(budget).of(dictionary(value, name), "items").call(List.of(), Map.of());
            case "dictsort" -> dictionarySorted(dictionary(value, name), new Arguments(name, arguments, named,
                    "case_sensitive", "by", "reverse"));
            case "map" -> map(value, arguments, named);
            case "select", "reject" -> chosen(value, item -> test(item, arguments, 0) == name.equals("select"));
            case "selectattr", "rejectattr" -> {
                UnaryOperator<Object> part = attribute(arguments.isEmpty() ? None.NONE : arguments.getFirst());
                yield chosen(value, item -> test(part.apply(item), arguments, 1) == name.equals("selectattr"));
            }
            case "sort" -> sorted(value, new Arguments(name, arguments, named, "reverse", "case_sensitive", "attribute"));
            case "unique" -> unique(value);
            case "min", "max" -> {
                Comparator<Object> order = Values::compare;
                yield Values.elements(value, budget).stream().max(name.equals("max") ? order : order.reversed())
                        .orElse(new Undefined("the " + name + " of nothing"));
            }
            case "sum" -> {
                Arguments given = new Arguments(name, arguments, named, "attribute", "start");
                UnaryOperator<Object> part = attribute(given.or(0, None.NONE));
                Object sum = given.or(1, 0L);
                for (Object item : Values.elements(value, budget)) {
                    sum = operators.binary("+", sum, part.apply(item));
                }
                yield sum;
            }
            case "indent" -> indented(string(value), new Arguments(name, arguments, named, "width", "first", "blank"));
            case "wordcount" -> (long) Texts.split(string(value), null, -1, false).size();
            default -> throw new ChatTemplateException("The chat template uses the filter '" + name
                    + "', which is not supported. Rewrite it with another.");
        };
    }

    private String string(Object value) {
        String text = Text.str(value, budget);
        budget.scan(text.length());
        budget.make(text.length());
        return text;
    }

    private static Map<?, ?> dictionary(Object value, String name) {
        if (value instanceof Map<?, ?> entries) {
            return entries;
        }
        throw new ChatTemplateException("The chat template applies the filter '" + name + "' to a " + Values.type(value)
                + ". It takes a dictionary.");
    }

    private static Object length(Object value) {
        return switch (value) {
            case String text -> (long) text.codePointCount(0, text.length());
            case List<?> items -> (long) items.size();
            case Map<?, ?> entries -> (long) entries.size();
            case Undefined _ -> 0L;
            default -> throw new ChatTemplateException("The chat template asks for the length of a " + Values.type(value)
                    + ". Only texts, lists and dictionaries have one.");
        };
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
                .replace("\"", "&#34;");
    }

    private Object integer(Object value, Object otherwise) {
        try {
            return switch (value) {
                case Double number -> number.longValue();
                case String text -> text.contains(".") ? (Object) (long) Double.parseDouble(text.strip())
                        : (Object) Long.parseLong(text.strip());
                default -> Values.isWhole(value) ? Values.whole(value) : otherwise;
            };
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }

    private Object real(Object value, Object otherwise) {
        try {
            return value instanceof String text ? Double.parseDouble(text.strip())
                    : Values.isNumber(value) ? Values.real(value) : otherwise;
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }

    private static Object round(Object value, Arguments given) {
        long precision = Math.clamp(Values.whole(given.or(0, 0L)), -30, 30);
        RoundingMode mode = switch (Values.text(given.or(1, "common"), "round")) {
            case "ceil" -> RoundingMode.CEILING;
            case "floor" -> RoundingMode.FLOOR;
            default -> RoundingMode.HALF_EVEN;
        };
        double number = Values.real(value);
        return Double.isFinite(number) ? new BigDecimal(number).setScale((int) precision, mode).doubleValue() : number;
    }

    private String json(Object value, Arguments given) {
        Object indent = given.or(1, None.NONE);
        String step = indent == None.NONE ? null
                : indent instanceof String text ? text : " ".repeat(Math.clamp(Values.whole(indent), 0, 64));
        String comma = step == null ? ", " : ",";
        String colon = ": ";
        if (given.or(2, None.NONE) instanceof List<?> separators && separators.size() == 2) {
            comma = Values.text(separators.getFirst(), "tojson");
            colon = Values.text(separators.getLast(), "tojson");
        }
        return new Json(Values.truth(given.or(0, false)), step, comma, colon, Values.truth(given.or(3, false)), budget)
                .write(value);
    }

    private List<Object> map(Object value, List<Object> arguments, Map<String, Object> named) {
        List<Object> result = new ArrayList<>();
        if (named.containsKey("attribute")) {
            UnaryOperator<Object> part = attribute(named.get("attribute"));
            Object otherwise = named.get("default");
            for (Object item : Values.elements(value, budget)) {
                Object found = part.apply(item);
                result.add(found instanceof Undefined && otherwise != null ? otherwise : found);
            }
            return result;
        }
        if (arguments.isEmpty()) {
            throw new ChatTemplateException("The chat template uses map without a filter or an attribute. Name one.");
        }
        String filter = Values.text(arguments.getFirst(), "map");
        for (Object item : Values.elements(value, budget)) {
            result.add(apply(filter, item, arguments.subList(1, arguments.size()), named));
        }
        return result;
    }

    private List<Object> chosen(Object value, Predicate<Object> kept) {
        List<Object> result = new ArrayList<>();
        for (Object item : Values.elements(value, budget)) {
            if (kept.test(item)) {
                result.add(item);
            }
        }
        return result;
    }

    /** Whether a value passes the test that {@code arguments} names at {@code at}; without one, whether it is true. */
    private boolean test(Object value, List<Object> arguments, int at) {
        return at >= arguments.size() ? Values.truth(value)
                : tests.holds(Values.text(arguments.get(at), "a test"), value, arguments.subList(at + 1, arguments.size()));
    }

    /** Gets an attribute, or a dotted path of them. */
    private UnaryOperator<Object> attribute(Object attribute) {
        if (attribute == None.NONE) {
            return UnaryOperator.identity();
        }
        if (Values.isWhole(attribute)) {
            return item -> operators.item(item, attribute);
        }
        String[] path = Values.text(attribute, "attribute").split("\\.");
        return item -> {
            Object value = item;
            for (String name : path) {
                value = name.matches("[0-9]{1,9}") ? operators.item(value, Long.parseLong(name))
                        : operators.item(value, name);
            }
            return value;
        };
    }

    private List<Object> sorted(Object value, Arguments given) {
        UnaryOperator<Object> part = attribute(given.or(2, None.NONE));
        boolean exact = Values.truth(given.or(1, false));
        Comparator<Object> order = (a, b) -> {
            budget.step();
            return Values.compare(key(part.apply(a), exact), key(part.apply(b), exact));
        };
        List<Object> items = Values.elements(value, budget);
        items.sort(Values.truth(given.or(0, false)) ? order.reversed() : order);
        return items;
    }

    private List<Object> dictionarySorted(Map<?, ?> entries, Arguments given) {
        boolean exact = Values.truth(given.or(0, false));
        int part = given.or(1, "key").equals("value") ? 1 : 0;
        Comparator<Object> order = (a, b) ->
                Values.compare(key(((Tuple) a).get(part), exact), key(((Tuple) b).get(part), exact));
        List<Object> items = Values.elements(new Methods(budget).of(entries, "items").call(List.of(), Map.of()), budget);
        items.sort(Values.truth(given.or(2, false)) ? order.reversed() : order);
        return items;
    }

    private static Object key(Object value, boolean exact) {
        return value instanceof String text && !exact ? text.toLowerCase(Locale.ROOT) : value;
    }

    private List<Object> unique(Object value) {
        List<Object> result = new ArrayList<>();
        List<Object> keys = new ArrayList<>();
        for (Object item : Values.elements(value, budget)) {
            if (!Values.contains(keys, key(item, false), budget)) {
                keys.add(key(item, false));
                result.add(item);
            }
        }
        return result;
    }

    private String indented(String text, Arguments given) {
        Object width = given.or(0, 4L);
        String indent = width instanceof String own ? own : " ".repeat(Math.clamp(Values.whole(width), 0, 1000));
        boolean blank = Values.truth(given.or(2, false));
        StringBuilder result = new StringBuilder(Values.truth(given.or(1, false)) ? indent : "");
        List<Object> lines = Texts.split(text, "\n", -1, false);
        for (int i = 0; i < lines.size(); i++) {
            String line = (String) lines.get(i);
            budget.make(indent.length() + (long) line.length() + 1);
            result.append(i == 0 ? "" : "\n").append(i > 0 && (blank || !line.isEmpty()) ? indent : "").append(line);
        }
        return result.toString();
    }
}
