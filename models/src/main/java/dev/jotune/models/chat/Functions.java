package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/** The functions that every template may call. */
final class Functions {

    private static final long LONGEST_RANGE = 100_000;

    private Functions() {}

    static void add(Scope scope, Budget budget) {
        scope.set("raise_exception", (Callable) (arguments, named) -> {
            throw new ChatTemplateException("The chat template refuses the conversation: "
                    + Text.str(new Arguments("raise_exception", arguments, named, "message").required(0), budget)
                    + " Change the messages to fit.");
        });
        scope.set("namespace", (Callable) (arguments, named) -> {
            Namespace namespace = new Namespace(new LinkedHashMap<>());
            for (Object initial : arguments) {
                if (initial instanceof java.util.Map<?, ?> entries) {
                    entries.forEach((key, value) -> namespace.attributes().put(Values.text(key, "namespace"), value));
                }
            }
            namespace.attributes().putAll(named);
            return namespace;
        });
        scope.set("dict", (Callable) (_, named) -> new LinkedHashMap<Object, Object>(named));
        scope.set("range", (Callable) (arguments, named) -> range(new Arguments("range", arguments, named, "start", "stop",
                "step"), arguments.size(), budget));
    }

    private static List<Object> range(Arguments given, int count, Budget budget) {
        long start = count < 2 ? 0 : Values.whole(given.required(0));
        long stop = Values.whole(given.required(count < 2 ? 0 : 1));
        long step = Values.whole(given.or(2, 1L));
        if (step == 0 || Math.abs((double) stop - start) / Math.abs((double) step) > LONGEST_RANGE) {
            throw new ChatTemplateException("The chat template counts from " + start + " to " + stop + " in steps of " + step
                    + ". A range has at most " + LONGEST_RANGE + " numbers and a step other than 0.");
        }
        List<Object> numbers = new ArrayList<>();
        for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
            numbers.add(i);
        }
        budget.make(numbers.size());
        return numbers;
    }
}
