package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The methods of Python's texts, dictionaries and lists that templates use; those that change a value are left out. */
final class Methods {

    private final Budget budget;

    Methods(Budget budget) {
        this.budget = budget;
    }

    /** The method {@code name} of a value, or null where the value has none of that name. */
    Callable of(Object value, String name) {
        return switch (value) {
            case String text -> ofText(text, name);
            case Map<?, ?> entries -> ofDictionary(entries, name);
            case List<?> items -> ofList(items, name);
            default -> null;
        };
    }

    private Callable ofDictionary(Map<?, ?> entries, String name) {
        return switch (name) {
            case "items" -> (_, _) -> {
                List<Object> items = new ArrayList<>();
                budget.make(entries.size());
                entries.forEach((key, value) -> items.add(new Tuple(List.of(key, value))));
                return items;
            };
            case "keys" -> (_, _) -> Values.elements(entries, budget);
            case "values" -> (_, _) -> {
                budget.make(entries.size());
                return new ArrayList<Object>(entries.values());
            };
            case "get" -> (arguments, named) -> {
                Arguments given = new Arguments("get", arguments, named, "key", "default");
                Object found = entries.get(given.required(0));
                return found != null ? found : given.or(1, None.NONE);
            };
            case "copy" -> (_, _) -> {
                budget.make(entries.size());
                return new LinkedHashMap<>(entries);
            };
            case "update", "pop", "popitem", "setdefault", "clear" -> refused("dictionary", name);
            default -> null;
        };
    }

    private Callable ofList(List<?> items, String name) {
        return switch (name) {
            case "index" -> (arguments, _) -> {
                for (int i = 0; i < items.size(); i++) {
                    if (Values.equal(items.get(i), arguments.getFirst(), budget)) {
                        return (long) i;
                    }
                }
                throw new ChatTemplateException("The chat template looks for the place of something that is not in a list. "
                        + "Correct the template or the messages.");
            };
            case "count" -> (arguments, _) ->
                    items.stream().filter(item -> Values.equal(item, arguments.getFirst(), budget)).count();
            case "copy" -> (_, _) -> Values.elements(items, budget);
            case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse" -> refused("list", name);
            default -> null;
        };
    }

    private static Callable refused(String type, String name) {
        return (_, _) -> {
            throw new ChatTemplateException("The chat template changes a " + type + " with ." + name
                    + ", which templates may not. Build a new one, such as list + [item].");
        };
    }

    private Callable ofText(String text, String name) {
        Callable method = plainOfText(text, name);
        return method == null ? null : (arguments, named) -> {
            budget.scan(text.length());
            Object result = method.call(arguments, named);
            if (result instanceof String made) {
                budget.make(made.length());
            } else if (result instanceof List<?> made) {
                budget.make(text.length() + (long) made.size());
            }
            return result;
        };
    }

    private Callable plainOfText(String text, String name) {
        return switch (name) {
            case "strip" -> (a, n) -> Text.strip(text, characters(name, a, n), true, true);
            case "lstrip" -> (a, n) -> Text.strip(text, characters(name, a, n), true, false);
            case "rstrip" -> (a, n) -> Text.strip(text, characters(name, a, n), false, true);
            case "upper" -> (_, _) -> text.toUpperCase(Locale.ROOT);
            case "lower" -> (_, _) -> text.toLowerCase(Locale.ROOT);
            case "title" -> (_, _) -> Texts.title(text);
            case "capitalize" -> (_, _) -> Texts.capitalize(text);
            case "startswith" -> (a, n) -> affix(name, a, n, text::startsWith);
            case "endswith" -> (a, n) -> affix(name, a, n, text::endsWith);
            case "removeprefix" -> (a, n) -> text.startsWith(one(name, a, n)) ? text.substring(one(name, a, n).length()) : text;
            case "removesuffix" -> (a, n) -> text.endsWith(one(name, a, n))
                    ? text.substring(0, text.length() - one(name, a, n).length()) : text;
            case "split", "rsplit" -> (a, n) -> {
                Arguments given = new Arguments(name, a, n, "sep", "maxsplit");
                Object separator = given.or(0, None.NONE);
                long most = Values.whole(given.or(1, -1L));
                return Texts.split(text, separator == None.NONE ? null : Values.text(separator, name), most,
                        name.equals("rsplit"));
            };
            case "splitlines" -> (a, n) -> Texts.lines(text, Values.truth(new Arguments(name, a, n, "keepends").or(0, false)));
            case "replace" -> (a, n) -> {
                Arguments given = new Arguments(name, a, n, "old", "new", "count");
                return Texts.replace(text, Values.text(given.required(0), name), Values.text(given.required(1), name),
                        Values.whole(given.or(2, -1L)), budget);
            };
            case "join" -> (a, n) -> Texts.join(text, Values.elements(new Arguments(name, a, n, "iterable").required(0), budget),
                    budget);
            case "find" -> (a, n) -> (long) place(text, text.indexOf(one(name, a, n)));
            case "rfind" -> (a, n) -> (long) place(text, text.lastIndexOf(one(name, a, n)));
            case "count" -> (a, n) -> (long) Texts.split(text, one(name, a, n), -1, false).size() - 1;
            case "isdigit", "isnumeric", "isdecimal" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Character::isDigit);
            case "isalpha" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetter);
            case "isalnum" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetterOrDigit);
            case "isspace" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Text::isSpace);
            case "isupper" -> (_, _) -> !text.equals(text.toLowerCase(Locale.ROOT)) && text.equals(text.toUpperCase(Locale.ROOT));
            case "islower" -> (_, _) -> !text.equals(text.toUpperCase(Locale.ROOT)) && text.equals(text.toLowerCase(Locale.ROOT));
            default -> null;
        };
    }

    private static int place(String text, int unit) {
        return unit < 0 ? -1 : text.codePointCount(0, unit);
    }

    private static String one(String name, List<Object> arguments, Map<String, Object> named) {
        return Values.text(new Arguments(name, arguments, named, "text").required(0), name);
    }

    private static String characters(String name, List<Object> arguments, Map<String, Object> named) {
        Object characters = new Arguments(name, arguments, named, "chars").or(0, None.NONE);
        return characters == None.NONE ? null : Values.text(characters, name);
    }

    private static boolean affix(String name, List<Object> arguments, Map<String, Object> named,
            java.util.function.Predicate<String> matches) {
        Object affix = new Arguments(name, arguments, named, "affix").required(0);
        if (affix instanceof Tuple several) {
            return several.stream().anyMatch(one -> matches.test(Values.text(one, name)));
        }
        return matches.test(Values.text(affix, name));
    }
}
