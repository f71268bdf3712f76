package dev.jotune.models.chat;

import dev.jotune.models.chat.Expression.Arguments;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Reads expressions, from the loosest operator ({@code a if b else c}) to the tightest. */
class ExpressionParser {

    private static final int DEEPEST = 150;
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

    private final List<Token> tokens;
    private int next;
    private int depth;

    ExpressionParser(List<Token> tokens) {
        this.tokens = tokens;
    }

    final Token peek() {
        return tokens.get(next);
    }

    final Token take() {
        Token token = peek();
        if (token.kind() != Token.Kind.END) {
            next++;
        }
        return token;
    }

    final boolean at(String operator) {
        return peek().is(Token.Kind.OPERATOR, operator);
    }

    final boolean atName(String name) {
        return peek().is(Token.Kind.NAME, name);
    }

    final boolean skip(String operator) {
        if (at(operator)) {
            next++;
            return true;
        }
        return false;
    }

    final boolean skipName(String name) {
        if (atName(name)) {
            next++;
            return true;
        }
        return false;
    }

    final void expect(String operator) {
        if (!skip(operator)) {
            throw unexpected("'" + operator + "'");
        }
    }

    final String name() {
        if (peek().kind() != Token.Kind.NAME) {
            throw unexpected("a name");
        }
        return take().text();
    }

    final ChatTemplateException unexpected(String wanted) {
        return error(peek() + " stands where " + wanted + " was expected. Correct the template.");
    }

    final ChatTemplateException error(String message) {
        return new ChatTemplateException("Chat template, line " + peek().line() + ": " + message);
    }

    /** Guards against templates so deeply nested that reading them would exhaust the stack. */
    final void deeper() {
        if (++depth > DEEPEST) {
            throw error("Expressions or blocks are nested more than " + DEEPEST + " deep. Use a simpler template.");
        }
    }

    final void shallower() {
        depth--;
    }

    final Expression expression() {
        deeper();
        Expression value = or();
        while (skipName("if")) {
            Expression condition = or();
            value = new Expression.Conditional(condition, value,
                    skipName("else") ? Optional.of(expression()) : Optional.empty());
        }
        shallower();
        return value;
    }

    /** One expression, or several with commas between them, which make a tuple. */
    final Expression expressions() {
        Expression first = expression();
        if (!at(",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (skip(",")) {
            if (at(")") || peek().kind() == Token.Kind.BLOCK_END || peek().kind() == Token.Kind.VALUE_END) {
                break;
            }
            items.add(expression());
        }
        return new Expression.ListOf(items, true);
    }

    /** An expression without a conditional: where {@code if} has another meaning after it. */
    final Expression or() {
        Expression left = and();
        while (skipName("or")) {
            left = new Expression.Binary("or", left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (skipName("and")) {
            left = new Expression.Binary("and", left, not());
        }
        return left;
    }

    private Expression not() {
        if (skipName("not")) {
            deeper();
            Expression of = not();
            shallower();
            return new Expression.Unary("not", of);
        }
        return comparison();
    }

    private Expression comparison() {
        Expression first = sum();
        List<String> operators = new ArrayList<>();
        List<Expression> others = new ArrayList<>();
        while (true) {
            if (peek().kind() == Token.Kind.OPERATOR && COMPARISONS.contains(peek().text())) {
                operators.add(take().text());
            } else if (skipName("in")) {
                operators.add("in");
            } else if (atName("not") && tokens.get(next + 1).is(Token.Kind.NAME, "in")) {
                next += 2;
                operators.add("not in");
            } else {
                break;
            }
            others.add(sum());
        }
        return operators.isEmpty() ? first : new Expression.Compare(first, operators, others);
    }

    private Expression sum() {
        Expression left = concatenation();
        while (at("+") || at("-")) {
            left = new Expression.Binary(take().text(), left, concatenation());
        }
        return left;
    }

    private Expression concatenation() {
        Expression left = product();
        while (skip("~")) {
            left = new Expression.Binary("~", left, product());
        }
        return left;
    }

    private Expression product() {
        Expression left = power();
        while (at("*") || at("/") || at("//") || at("%")) {
            left = new Expression.Binary(take().text(), left, power());
        }
        return left;
    }

    private Expression power() {
        Expression left = unary(true);
        while (skip("**")) {
            left = new Expression.Binary("**", left, unary(true));
        }
        return left;
    }

    private Expression unary(boolean filters) {
        Expression value;
        if (at("-") || at("+")) {
            String sign = take().text();
            deeper();
            value = new Expression.Unary(sign, unary(false));
            shallower();
        } else {
            value = primary();
        }
        value = postfix(value);
        return filters ? filters(value) : value;
    }

    private Expression primary() {
        Token token = take();
        return switch (token.kind()) {
            case NAME -> switch (token.text()) {
                case "true", "True" -> new Expression.Constant(true);
                case "false", "False" -> new Expression.Constant(false);
                case "none", "None" -> new Expression.Constant(None.NONE);
                default -> new Expression.Name(token.text());
            };
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (peek().kind() == Token.Kind.STRING) {
                    text.append(take().text());
                }
                yield new Expression.Constant(text.toString());
            }
            case INTEGER -> {
                try {
                    yield new Expression.Constant(Long.parseLong(token.text()));
                } catch (NumberFormatException e) {
                    next--;
                    throw error("The number " + token.text() + " is too large. Use one of at most 18 digits.");
                }
            }
            case FLOAT -> new Expression.Constant(Double.parseDouble(token.text()));
            case OPERATOR -> bracket(token);
            default -> {
                next -= token.kind() == Token.Kind.END ? 0 : 1;
                throw unexpected("an expression");
            }
        };
    }

    private Expression bracket(Token open) {
        switch (open.text()) {
            case "(" -> {
                if (skip(")")) {
                    return new Expression.ListOf(List.of(), true);
                }
                Expression inner = expressions();
                expect(")");
                return inner;
            }
            case "[" -> {
                List<Expression> items = new ArrayList<>();
                while (!skip("]")) {
                    items.add(expression());
                    if (!at("]")) {
                        expect(",");
                    }
                }
                return new Expression.ListOf(items, false);
            }
            case "{" -> {
                List<Expression> keys = new ArrayList<>();
                List<Expression> values = new ArrayList<>();
                while (!skip("}")) {
                    keys.add(expression());
                    expect(":");
                    values.add(expression());
                    if (!at("}")) {
                        expect(",");
                    }
                }
                return new Expression.DictOf(keys, values);
            }
            default -> {
                next--;
                throw unexpected("an expression");
            }
        }
    }

    private Expression postfix(Expression start) {
        Expression value = start;
        while (true) {
            if (skip(".")) {
                value = member(value);
            } else if (skip("[")) {
                value = subscript(value);
            } else if (at("(")) {
                value = new Expression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    /** {@code of.name}, or {@code of.0}, or {@code of.0.1}, whose numbers were read as one. */
    private Expression member(Expression of) {
        if (peek().kind() != Token.Kind.INTEGER && peek().kind() != Token.Kind.FLOAT) {
            return new Expression.Attribute(of, name());
        }
        Expression value = of;
        for (String index : take().text().split("\\.")) {
            if (!index.matches("[0-9]{1,18}")) {
                throw unexpected("a name or a number");
            }
            value = new Expression.Item(value, new Expression.Constant(Long.parseLong(index)));
        }
        return value;
    }

    private Expression subscript(Expression of) {
        Optional<Expression> from = at(":") ? Optional.empty() : Optional.of(expression());
        if (!at(":")) {
            expect("]");
            return new Expression.Item(of, from.orElseThrow());
        }
        next++;
        Optional<Expression> to = at(":") || at("]") ? Optional.empty() : Optional.of(expression());
        Optional<Expression> step = Optional.empty();
        if (skip(":") && !at("]")) {
            step = Optional.of(expression());
        }
        expect("]");
        return new Expression.Slice(of, from, to, step);
    }

    final Arguments arguments() {
        expect("(");
        List<Expression> values = new ArrayList<>();
        Map<String, Expression> named = new LinkedHashMap<>();
        while (!skip(")")) {
            if (peek().kind() == Token.Kind.NAME && tokens.get(next + 1).is(Token.Kind.OPERATOR, "=")) {
                String name = name();
                next++;
                named.put(name, expression());
            } else if (named.isEmpty()) {
                values.add(skip("*") ? new Expression.Spread(expression()) : expression());
            } else {
                throw error("A value follows named arguments. Put it before them.");
            }
            if (!at(")")) {
                expect(",");
            }
        }
        return new Arguments(values, named);
    }

    private Expression filters(Expression start) {
        Expression value = start;
        while (true) {
            if (skip("|")) {
                value = filter(value);
            } else if (skipName("is")) {
                value = test(value);
            } else if (at("(")) {
                value = new Expression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    final Expression.Filter filter(Expression of) {
        String name = name();
        return new Expression.Filter(of, name, at("(") ? arguments() : Arguments.NONE);
    }

    private Expression test(Expression of) {
        boolean negated = skipName("not");
        String name = name();
        Arguments arguments = Arguments.NONE;
        if (at("(")) {
            arguments = arguments();
        } else if (switch (peek().kind()) {
            case STRING, INTEGER, FLOAT -> true;
            case NAME -> !atName("else") && !atName("or") && !atName("and") && !atName("is") && !atName("if")
                    && !atName("in") && !atName("not");
            case OPERATOR -> at("[") || at("{");
            default -> false;
        }) {
            arguments = new Arguments(List.of(postfix(primary())), Map.of());
        }
        return new Expression.Test(of, name, arguments, negated);
    }
}
