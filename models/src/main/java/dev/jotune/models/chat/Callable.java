package dev.jotune.models.chat;

import java.util.List;
import java.util.Map;

/** What a template may call: a macro, a method of a value, a function given to templates. */
@FunctionalInterface
interface Callable {

    Object call(List<Object> arguments, Map<String, Object> named);
}
