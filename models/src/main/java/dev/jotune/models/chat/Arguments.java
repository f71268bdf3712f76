package dev.jotune.models.chat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The arguments of a call, by their place or their name. */
final class Arguments {

    private final String function;
    private final Object[] values;
    private final String[] names;

    Arguments(String function, List<Object> given, Map<String, Object> named, String... names) {
        this.function = function;
        this.names = names;
        if (given.size() > names.length) {
            throw new ChatTemplateException("The chat template calls '" + function + "' with " + given.size()
                    + " arguments; it takes at most " + names.length + ". Correct the template.");
        }
        values = Arrays.copyOf(given.toArray(), names.length);
        named.forEach((name, value) -> {
            int at = Arrays.asList(names).indexOf(name);
            if (at < 0 || values[at] != null) {
                throw new ChatTemplateException("The chat template calls '" + function + "' with the argument '" + name
                        + "', which it does not take" + (at < 0 ? "" : " twice") + ". Correct the template.");
            }
            values[at] = value;
        });
    }

    Object required(int index) {
        if (values[index] == null) {
            throw new ChatTemplateException("The chat template calls '" + function + "' without '" + names[index]
                    + "'. Correct the template.");
        }
        return values[index];
    }

    Object or(int index, Object otherwise) {
        return values[index] == null ? otherwise : values[index];
    }
}
