package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs a template once. */
final class Interpreter {

    /** The name under which a block's text is given to its filter; no template can write it. */
    static final String BLOCK = "(block)";

    private enum Flow { NEXT, BREAK, CONTINUE }

    private final Budget budget = new Budget();
    private final Evaluator evaluator = new Evaluator(budget);
    private StringBuilder out = new StringBuilder();
    private int loops;

    /** What the template prints, given its variables. */
    String run(List<Statement> template, Map<String, Object> variables) {
        Scope globals = new Scope(null);
        Functions.add(globals, budget);
        Scope scope = new Scope(globals);
        variables.forEach(scope::set);
        run(template, scope);
        return out.toString();
    }

    private Flow run(List<Statement> statements, Scope scope) {
        for (Statement statement : statements) {
            budget.step();
            Flow flow = run(statement, scope);
            if (flow != Flow.NEXT) {
                return flow;
            }
        }
        return Flow.NEXT;
    }

    private Flow run(Statement statement, Scope scope) {
        switch (statement) {
            case Statement.Text text -> print(text.text());
            case Statement.Print print -> print(Text.str(evaluator.value(print.value(), scope), budget));
            case Statement.If choice -> {
                for (Statement.Branch branch : choice.branches()) {
                    if (Values.truth(evaluator.value(branch.condition(), scope))) {
                        return run(branch.body(), scope);
                    }
                }
                return run(choice.otherwise(), scope);
            }
            case Statement.For loop -> {
                return run(loop, scope);
            }
            case Statement.Assign assign -> assign(assign.target(), evaluator.value(assign.value(), scope), scope);
            case Statement.Capture capture -> {
                Scope inner = new Scope(scope);
                Object text = captured(capture.body(), inner);
                if (capture.filter().isPresent()) {
                    inner.set(BLOCK, text);
                    text = evaluator.value(capture.filter().get(), inner);
                }
                assign(capture.target(), text, scope);
            }
            case Statement.MacroOf macro -> scope.set(macro.name(), macro(macro, scope));
            case Statement.CallBlock block -> {
                Scope inner = new Scope(scope);
                inner.set("caller", macro(new Statement.MacroOf("caller", block.parameters(), Map.of(), block.body()), scope));
                // The macro finds its caller among the named arguments.
                print(Text.str(evaluator.call(block.call(), inner, Map.of("caller", inner.get("caller"))), budget));
            }
            case Statement.FilterBlock block -> {
                Scope inner = new Scope(scope);
                inner.set(BLOCK, captured(block.body(), inner));
                print(Text.str(evaluator.value(block.filter(), inner), budget));
            }
            case Statement.With with -> {
                Scope inner = new Scope(scope);
                for (int i = 0; i < with.names().size(); i++) {
                    inner.set(with.names().get(i), evaluator.value(with.values().get(i), scope));
                }
                return run(with.body(), inner);
            }
            case Statement.Break _ -> {
                return Flow.BREAK;
            }
            case Statement.Continue _ -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.NEXT;
    }

    private void print(String text) {
        budget.make(text.length());
        out.append(text);
    }

    /** What statements print, instead of printing it. */
    private String captured(List<Statement> body, Scope scope) {
        StringBuilder outside = out;
        out = new StringBuilder();
        try {
            run(body, scope);
            return out.toString();
        } finally {
            out = outside;
        }
    }

    private Flow run(Statement.For loop, Scope scope) {
        List<Object> items = new ArrayList<>();
        for (Object item : Values.elements(evaluator.value(loop.values(), scope), budget)) {
            if (loop.condition().isPresent()) {
                Scope trial = new Scope(scope);
                unpack(loop.targets(), item, trial);
                if (!Values.truth(evaluator.value(loop.condition().get(), trial))) {
                    continue;
                }
            }
            items.add(item);
        }
        LoopState state = new LoopState(items, loops++);
        boolean finished = false;
        for (Object item : items) {
            Scope inner = new Scope(scope);
            inner.set("loop", state);
            unpack(loop.targets(), item, inner);
            Flow flow = run(loop.body(), inner);
            finished |= flow == Flow.NEXT;
            if (flow == Flow.BREAK) {
                break;
            }
            state.index++;
        }
        loops--;
        // As in Jinja, "else" is for loops none of whose rounds came to their end.
        return finished ? Flow.NEXT : run(loop.otherwise(), scope);
    }

    private void unpack(List<String> targets, Object value, Scope scope) {
        if (targets.size() == 1) {
            scope.set(targets.getFirst(), value);
            return;
        }
        List<Object> parts = Values.elements(value, budget);
        if (parts.size() != targets.size()) {
            throw new ChatTemplateException("The chat template takes " + parts.size() + " values apart into "
                    + targets.size() + " names. Correct the template or the messages.");
        }
        for (int i = 0; i < parts.size(); i++) {
            scope.set(targets.get(i), parts.get(i));
        }
    }

    private void assign(Statement.Target target, Object value, Scope scope) {
        if (target.attribute().isEmpty()) {
            unpack(target.names(), value, scope);
            return;
        }
        String name = target.names().getFirst();
        if (!(scope.get(name) instanceof Namespace namespace)) {
            throw new ChatTemplateException("The chat template sets '" + name + "." + target.attribute().get() + "', but '"
                    + name + "' is not a namespace. Make it one: {% set " + name + " = namespace() %}.");
        }
        namespace.attributes().put(target.attribute().get(), value);
    }

    private Callable macro(Statement.MacroOf macro, Scope defined) {
        return (arguments, named) -> {
            budget.enter();
            Scope inner = new Scope(defined);
            inner.set("caller", named.getOrDefault("caller", new Undefined("caller")));
            for (int i = 0; i < macro.parameters().size(); i++) {
                String parameter = macro.parameters().get(i);
                Object value = i < arguments.size() ? arguments.get(i) : named.get(parameter);
                if (value == null) {
                    Expression otherwise = macro.defaults().get(parameter);
                    value = otherwise == null ? new Undefined("the parameter '" + parameter + "'")
                            : evaluator.value(otherwise, inner);
                }
                inner.set(parameter, value);
            }
            if (arguments.size() > macro.parameters().size()) {
                throw new ChatTemplateException("The chat template calls the macro '" + macro.name() + "' with "
                        + arguments.size() + " arguments; it takes " + macro.parameters().size() + ". Correct the template.");
            }
            for (String name : named.keySet()) {
                if (!macro.parameters().contains(name) && !name.equals("caller")) {
                    throw new ChatTemplateException("The chat template calls the macro '" + macro.name()
                            + "' with the argument '" + name + "', which it does not take. Correct the template.");
                }
            }
            int outerLoops = loops;
            loops = 0;
            String text = captured(macro.body(), inner);
            loops = outerLoops;
            budget.leave();
            return text;
        };
    }
}
