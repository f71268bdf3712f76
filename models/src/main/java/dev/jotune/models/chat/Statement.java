package dev.jotune.models.chat;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a template does. */
sealed interface Statement {

    record Text(String text) implements Statement {}

    record Print(Expression value, int line) implements Statement {}

    record Branch(Expression condition, List<Statement> body) {}

    record If(List<Branch> branches, List<Statement> otherwise, int line) implements Statement {}

    /** {@code for targets in values if condition}. */
    record For(List<String> targets, Expression values, Optional<Expression> condition, List<Statement> body,
               List<Statement> otherwise, int line) implements Statement {}

    /** What a value is given to: names, or an attribute of a namespace. */
    record Target(List<String> names, Optional<String> attribute) {}

    record Assign(Target target, Expression value, int line) implements Statement {}

    /** {@code set name} ... {@code endset}. */
    record Capture(Target target, List<Statement> body, Optional<Expression.Filter> filter, int line)
            implements Statement {}

    record MacroOf(String name, List<String> parameters, Map<String, Expression> defaults, List<Statement> body)
            implements Statement {}

    /** A macro called with a block as its {@code caller}. */
    record CallBlock(List<String> parameters, Expression.Call call, List<Statement> body, int line)
            implements Statement {}

    record FilterBlock(Expression.Filter filter, List<Statement> body, int line) implements Statement {}

    /** {@code with a = b}: a body with variables of its own. */
    record With(List<String> names, List<Expression> values, List<Statement> body, int line) implements Statement {}

    record Break() implements Statement {}

    record Continue() implements Statement {}
}
