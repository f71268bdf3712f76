package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Works out expressions. */
final class Evaluator {

    private final Budget budget;
    private final Operators operators;
    private final Methods methods;
    private final Tests tests;
    private final Filters filters;

    Evaluator(Budget budget) {
        this.budget = budget;
        this.operators = new Operators(budget);
        this.methods = new Methods(budget);
        this.tests = new Tests(budget, operators);
        this.filters = new Filters(budget, operators, tests);
    }

    Object value(Expression expression, Scope scope) {
        budget.step();
        return switch (expression) {
            case Expression.Constant constant -> constant.value();
            case Expression.Name name -> {
                Object value = scope.get(name.name());
                yield value != null ? value : new Undefined("'" + name.name() + "'");
            }
            case Expression.ListOf list -> {
                budget.make(list.items().size());
                List<Object> items = values(list.items(), scope);
                yield list.tuple() ? new Tuple(items) : items;
            }
            case Expression.DictOf dict -> dictionary(dict, scope);
            case Expression.Attribute attribute -> attribute(value(attribute.of(), scope), attribute.name());
            case Expression.Item item -> item(value(item.of(), scope), value(item.key(), scope));
            case Expression.Slice slice -> operators.slice(value(slice.of(), scope), bound(slice.from(), scope),
                    bound(slice.to(), scope), bound(slice.step(), scope));
            case Expression.Spread spread -> new Tuple(Values.elements(value(spread.of(), scope), budget));
            case Expression.Call call -> call(call, scope, Map.of());
            case Expression.Filter filter -> filters.apply(filter.name(), value(filter.of(), scope),
                    values(filter.arguments().values(), scope), named(filter.arguments(), scope));
            case Expression.Test test -> tests.holds(test.name(), value(test.of(), scope),
                    values(test.arguments().values(), scope)) != test.negated();
            case Expression.Unary unary -> unary(unary.operator(), value(unary.of(), scope));
            case Expression.Binary binary -> binary(binary, scope);
            case Expression.Compare compare -> compare(compare, scope);
            case Expression.Conditional choice -> Values.truth(value(choice.condition(), scope))
                    ? value(choice.then(), scope)
                    : choice.otherwise().map(other -> value(other, scope)).orElse(new Undefined("a value without an else"));
        };
    }

    Object call(Expression.Call call, Scope scope, Map<String, Object> further) {
        Object function = value(call.function(), scope);
        List<Object> arguments = values(call.arguments().values(), scope);
        Map<String, Object> named = named(call.arguments(), scope);
        named.putAll(further);
        return switch (function) {
            case Callable callable -> callable.call(arguments, named);
            case Undefined undefined -> throw undefined.error();
            default -> throw new ChatTemplateException("The chat template calls a " + Values.type(function)
                    + ", which is not a function. Correct the template.");
        };
    }

    private List<Object> values(List<Expression> expressions, Scope scope) {
        List<Object> values = new ArrayList<>(expressions.size());
        for (Expression expression : expressions) {
            if (expression instanceof Expression.Spread spread) {
                values.addAll(Values.elements(value(spread.of(), scope), budget));
            } else {
                values.add(value(expression, scope));
            }
        }
        return values;
    }

    private Map<String, Object> named(Expression.Arguments arguments, Scope scope) {
        Map<String, Object> named = new LinkedHashMap<>();
        arguments.named().forEach((name, expression) -> named.put(name, value(expression, scope)));
        return named;
    }

    private Object dictionary(Expression.DictOf dict, Scope scope) {
        Map<Object, Object> entries = new LinkedHashMap<>();
        budget.make(dict.keys().size());
        for (int i = 0; i < dict.keys().size(); i++) {
            Object key = value(dict.keys().get(i), scope);
            if (!(key instanceof String || Values.isNumber(key) || key == None.NONE)) {
                throw new ChatTemplateException("The chat template makes a dictionary with a " + Values.type(key)
                        + " as a key. Use text or numbers.");
            }
            entries.put(key, value(dict.values().get(i), scope));
        }
        return entries;
    }

    private Optional<Long> bound(Optional<Expression> expression, Scope scope) {
        return expression.map(given -> value(given, scope)).filter(value -> value != None.NONE).map(Values::whole);
    }

    /** {@code of.name}: a method where the value has one of that name, else an element. */
    private Object attribute(Object of, String name) {
        return switch (of) {
            case Undefined undefined -> throw undefined.error();
            case Namespace namespace -> {
                Object value = namespace.attributes().get(name);
                yield value != null ? value : new Undefined("'" + name + "' of a namespace");
            }
            case LoopState loop -> loop.attribute(name);
            default -> {
                Callable method = methods.of(of, name);
                yield method != null ? method : operators.item(of, name);
            }
        };
    }

    /** {@code of[key]}: an element where there is one, else what {@code of.key} gives. */
    private Object item(Object of, Object key) {
        if (of instanceof Namespace || of instanceof LoopState) {
            return attribute(of, Values.text(key, "[]"));
        }
        Object found = operators.item(of, key);
        if (found instanceof Undefined && key instanceof String name) {
            Callable method = methods.of(of, name);
            return method != null ? method : found;
        }
        return found;
    }

    private Object unary(String operator, Object value) {
        if (operator.equals("not")) {
            return !Values.truth(value);
        }
        return value instanceof Double number ? (operator.equals("-") ? -number : number)
                : operators.binary(operator, 0L, value);
    }

    private Object binary(Expression.Binary binary, Scope scope) {
        Object left = value(binary.left(), scope);
        return switch (binary.operator()) {
            case "and" -> Values.truth(left) ? value(binary.right(), scope) : left;
            case "or" -> Values.truth(left) ? left : value(binary.right(), scope);
            default -> operators.binary(binary.operator(), left, value(binary.right(), scope));
        };
    }

    private boolean compare(Expression.Compare compare, Scope scope) {
        Object left = value(compare.first(), scope);
        for (int i = 0; i < compare.operators().size(); i++) {
            Object right = value(compare.others().get(i), scope);
            if (!operators.compare(compare.operators().get(i), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }
}
