package dev.jotune.models.chat;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Jinja's tests: what may follow {@code is}. */
final class Tests {

    private final Budget budget;
    private final Operators operators;

    Tests(Budget budget, Operators operators) {
        this.budget = budget;
        this.operators = operators;
    }

    boolean holds(String name, Object value, List<Object> arguments) {
        budget.step();
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == None.NONE;
            case "string" -> value instanceof String;
            case "boolean" -> value instanceof Boolean;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "number" -> Values.isNumber(value);
            case "mapping" -> value instanceof Map;
            case "sequence", "iterable" -> value instanceof String || value instanceof List || value instanceof Map
                    || value instanceof Undefined;
            case "callable" -> value instanceof Callable;
            case "odd" -> Math.floorMod(Values.whole(value), 2) == 1;
            case "even" -> Math.floorMod(Values.whole(value), 2) == 0;
            case "divisibleby" -> Values.whole(operators.binary("%", value, argument(name, arguments))) == 0;
            case "lower" -> Text.str(value, budget).equals(Text.str(value, budget).toLowerCase(Locale.ROOT))
                    && !Text.str(value, budget).equals(Text.str(value, budget).toUpperCase(Locale.ROOT));
            case "upper" -> Text.str(value, budget).equals(Text.str(value, budget).toUpperCase(Locale.ROOT))
                    && !Text.str(value, budget).equals(Text.str(value, budget).toLowerCase(Locale.ROOT));
            case "in" -> Values.contains(argument(name, arguments), value, budget);
            case "sameas" -> value == argument(name, arguments) || value instanceof Boolean
                    && value.equals(argument(name, arguments));
            case "eq", "equalto", "==" -> operators.compare("==", value, argument(name, arguments));
            case "ne", "!=" -> operators.compare("!=", value, argument(name, arguments));
            case "lt", "lessthan", "<" -> operators.compare("<", value, argument(name, arguments));
            case "le", "<=" -> operators.compare("<=", value, argument(name, arguments));
            case "gt", "greaterthan", ">" -> operators.compare(">", value, argument(name, arguments));
            case "ge", ">=" -> operators.compare(">=", value, argument(name, arguments));
            default -> throw new ChatTemplateException("The chat template uses the test 'is " + name
                    + "', which is not supported. Rewrite it with another.");
        };
    }

    private static Object argument(String name, List<Object> arguments) {
        if (arguments.size() != 1) {
            throw new ChatTemplateException("The chat template uses the test 'is " + name + "' with " + arguments.size()
                    + " arguments. It takes 1.");
        }
        return arguments.getFirst();
    }
}
