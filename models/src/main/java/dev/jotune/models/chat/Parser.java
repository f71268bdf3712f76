package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Reads the statements of a template. */
final class Parser extends ExpressionParser {

    private static final Set<String> ELSEWHERE = Set.of("include", "import", "from", "extends", "block");

    private Parser(List<Token> tokens) {
        super(tokens);
    }

    static List<Statement> parse(String template) {
        Parser parser = new Parser(Lexer.tokens(template));
        List<Statement> statements = parser.body();
        if (parser.peek().kind() != Token.Kind.END) {
            throw parser.error("The tag '" + parser.peek().text() + "' closes nothing. Remove it.");
        }
        return statements;
    }

    /** Statements up to a tag that is not for them, whose name is next. */
    private List<Statement> body(String... ends) {
        deeper();
        List<Statement> statements = new ArrayList<>();
        while (true) {
            Token token = peek();
            switch (token.kind()) {
                case DATA -> statements.add(new Statement.Text(take().text()));
                case VALUE_BEGIN -> {
                    take();
                    statements.add(new Statement.Print(expressions(), token.line()));
                    if (take().kind() != Token.Kind.VALUE_END) {
                        throw error("A value is not followed by }}. Close it.");
                    }
                }
                case BLOCK_BEGIN -> {
                    take();
                    for (String end : ends) {
                        if (atName(end)) {
                            shallower();
                            return statements;
                        }
                    }
                    statements.addAll(statement(token.line()));
                }
                default -> {
                    if (ends.length > 0) {
                        throw error("The template ends where {% " + ends[ends.length - 1] + " %} was expected. Add it.");
                    }
                    shallower();
                    return statements;
                }
            }
        }
    }

    private List<Statement> statement(int line) {
        String tag = name();
        switch (tag) {
            case "if" -> {
                return List.of(branches(line));
            }
            case "for" -> {
                return List.of(loop(line));
            }
            case "set" -> {
                return List.of(set(line));
            }
            case "macro" -> {
                return List.of(macro());
            }
            case "call" -> {
                return List.of(callBlock(line));
            }
            case "filter" -> {
                Expression.Filter filter = filterChain();
                end();
                return List.of(new Statement.FilterBlock(filter, closed("endfilter"), line));
            }
            case "with" -> {
                return List.of(with(line));
            }
            case "generation" -> {
                // Marks what the assistant wrote, for masks; the text is the same.
                end();
                return closed("endgeneration");
            }
            case "break" -> {
                end();
                return List.of(new Statement.Break());
            }
            case "continue" -> {
                end();
                return List.of(new Statement.Continue());
            }
            default -> throw error(ELSEWHERE.contains(tag)
                    ? "The tag '" + tag + "' reads other templates, and a chat template has none. Put the text into the "
                    + "template itself." : "The tag '" + tag + "' is not known. Use if, for, set, macro, call, filter, "
                    + "with, generation, break, continue or raw.");
        }
    }

    private void end() {
        if (peek().kind() != Token.Kind.BLOCK_END) {
            throw unexpected("%}");
        }
        take();
    }

    private List<Statement> closed(String name) {
        List<Statement> body = body(name);
        take();
        end();
        return body;
    }

    private Statement branches(int line) {
        List<Statement.Branch> branches = new ArrayList<>();
        List<Statement> otherwise = List.of();
        Expression condition = expressions();
        end();
        while (true) {
            branches.add(new Statement.Branch(condition, body("elif", "else", "endif")));
            if (skipName("elif")) {
                condition = expressions();
                end();
                continue;
            }
            if (skipName("else")) {
                end();
                otherwise = body("endif");
            }
            take();
            end();
            return new Statement.If(branches, otherwise, line);
        }
    }

    private Statement loop(int line) {
        List<String> targets = names();
        if (!skipName("in")) {
            throw unexpected("'in'");
        }
        Expression values = or();
        if (at(",")) {
            List<Expression> items = new ArrayList<>(List.of(values));
            while (skip(",")) {
                items.add(or());
            }
            values = new Expression.ListOf(items, true);
        }
        Optional<Expression> condition = skipName("if") ? Optional.of(expression()) : Optional.empty();
        if (atName("recursive")) {
            throw error("Recursive loops are not supported. Use a macro that calls itself.");
        }
        end();
        List<Statement> body = body("else", "endfor");
        List<Statement> otherwise = List.of();
        if (skipName("else")) {
            end();
            otherwise = body("endfor");
        }
        take();
        end();
        return new Statement.For(targets, values, condition, body, otherwise, line);
    }

    private List<String> names() {
        boolean bracket = skip("(");
        List<String> names = new ArrayList<>(List.of(name()));
        while (skip(",")) {
            if (peek().kind() != Token.Kind.NAME) {
                break;
            }
            names.add(name());
        }
        if (bracket) {
            expect(")");
        }
        return names;
    }

    private Statement set(int line) {
        List<String> names = names();
        Optional<String> attribute = names.size() == 1 && skip(".") ? Optional.of(name()) : Optional.empty();
        Statement.Target target = new Statement.Target(names, attribute);
        if (skip("=")) {
            Expression value = expressions();
            end();
            return new Statement.Assign(target, value, line);
        }
        Optional<Expression.Filter> filter = skip("|") ? Optional.of(filterChain()) : Optional.empty();
        end();
        return new Statement.Capture(target, closed("endset"), filter, line);
    }

    /** Filters of a block, whose innermost value is left open as the name {@link Interpreter#BLOCK}. */
    private Expression.Filter filterChain() {
        Expression.Filter filter = filter(new Expression.Name(Interpreter.BLOCK));
        while (skip("|")) {
            filter = filter(filter);
        }
        return filter;
    }

    private Statement macro() {
        String name = name();
        Map<String, Expression> defaults = new LinkedHashMap<>();
        List<String> parameters = parameters(defaults);
        end();
        return new Statement.MacroOf(name, parameters, defaults, closed("endmacro"));
    }

    private List<String> parameters(Map<String, Expression> defaults) {
        List<String> parameters = new ArrayList<>();
        expect("(");
        while (!skip(")")) {
            String parameter = name();
            parameters.add(parameter);
            if (skip("=")) {
                defaults.put(parameter, expression());
            }
            if (!at(")")) {
                expect(",");
            }
        }
        return parameters;
    }

    private Statement callBlock(int line) {
        List<String> parameters = at("(") ? parameters(new LinkedHashMap<>()) : List.of();
        if (!(expression() instanceof Expression.Call call)) {
            throw error("A call block calls nothing. Write {% call macro() %}.");
        }
        end();
        return new Statement.CallBlock(parameters, call, closed("endcall"), line);
    }

    private Statement with(int line) {
        List<String> names = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (peek().kind() != Token.Kind.BLOCK_END) {
            names.add(name());
            expect("=");
            values.add(expression());
            if (!skip(",")) {
                break;
            }
        }
        end();
        return new Statement.With(names, values, closed("endwith"), line);
    }
}
