package dev.jotune.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.ISetter;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The hyper-parameters of all methods as options, made from the methods' records: a component {@code loraAlpha} is
 * the option {@code --lora-alpha} and the field {@code lora_alpha}. A new method has its options without a line here.
 */
final class MethodOptions {
    /** A field that one or more methods have. */
    private record Field(String name, Type type, Map<String, Object> defaults) {
        String option() {
            return "--" + name.replace('_', '-');
        }
    }

    private static final SequencedMap<String, Field> FIELDS = fields();

    private MethodOptions() {}

    private static SequencedMap<String, Field> fields() {
        SequencedMap<String, Field> all = new LinkedHashMap<>();
        for (MethodInfo m : Methods.all()) {
            for (RecordComponent c : m.defaults().getClass().getRecordComponents()) {
                String name = Methods.field(c);
                Field f = all.computeIfAbsent(name, n -> new Field(n, c.getGenericType(), new LinkedHashMap<>()));
                f.defaults().put(m.name(), valueOf(c, m.defaults()));
            }
        }
        return all;
    }

    private static Object valueOf(RecordComponent c, TuningMethod method) {
        try {
            return c.getAccessor().invoke(method);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(method.getClass().getName() + "." + c.getName()
                    + "() cannot be called. A method's record must be public.", e);
        }
    }

    /**
     * Adds the options to a command.
     *
     * @param given where what the user gives lands, by PEFT's name
     */
    static void addTo(CommandLine command, Map<String, String> given) {
        Properties texts = descriptions();
        ArgGroupSpec.Builder group = ArgGroupSpec.builder().validate(false).order(100)
                .heading("%nOptions of the methods, named as PEFT's adapter_config.json names them%n(lists are written a,b,c; "
                        + "patterns name=value,name=value):%n");
        for (Field f : FIELDS.values()) {
            group.addArg(option(f, texts.getProperty(f.name(), ""), given));
        }
        command.getCommandSpec().addArgGroup(group.build());
    }

    private static OptionSpec option(Field f, String text, Map<String, String> given) {
        ISetter setter = new ISetter() {
            @Override
            @SuppressWarnings("unchecked")
            public <T> T set(T value) {
                if (value != null) {
                    given.put(f.name(), value.toString());
                }
                return (T) value;
            }
        };
        OptionSpec.Builder b = OptionSpec.builder(f.option()).type(String.class).setter(setter)
                .description(text + (text.isEmpty() ? "" : " ") + "(" + usedBy(f) + ")");
        return f.type() == boolean.class ? b.arity("0..1").fallbackValue("true").paramLabel("true|false").build()
                : b.arity("1").paramLabel(label(f.type())).build();
    }

    private static String usedBy(Field f) {
        return f.defaults().entrySet().stream().map(e -> e.getKey() + shown(e.getValue())).collect(Collectors.joining(", "));
    }

    private static String shown(Object value) {
        Object v = value instanceof Optional<?> o ? o.orElse(null) : value;
        if (v instanceof Targets t) {
            v = t.pattern().orElse(String.join(",", t.names()));
        }
        boolean nothing = v == null || v instanceof JsonNode j && j.isNull() || v instanceof List<?> l && l.isEmpty()
                || v instanceof Map<?, ?> m && m.isEmpty();
        return nothing ? "" : "; default " + v;
    }

    private static Properties descriptions() {
        Properties p = new Properties();
        try (InputStream in = MethodOptions.class.getResourceAsStream("method-options.properties")) {
            p.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return p;
    }

    /** Fields that the help would leave unexplained. */
    static List<String> withoutDescription() {
        Properties texts = descriptions();
        return FIELDS.keySet().stream().filter(name -> !texts.containsKey(name)).toList();
    }

    private static String label(Type type) {
        Type t = inner(type);
        if (type instanceof ParameterizedType p && p.getRawType() == Map.class) {
            return "PATTERN";
        }
        return t == int.class || t == Integer.class ? "N" : t == double.class ? "X" : t == Targets.class ? "NAMES" : "TEXT";
    }

    /** What an Optional or a List holds; other types are themselves. */
    private static Type inner(Type type) {
        return type instanceof ParameterizedType p && p.getRawType() != Map.class ? p.getActualTypeArguments()[0] : type;
    }

    /**
     * The hyper-parameters of {@code method} as given on the command line.
     *
     * @throws UsageException naming the method or option that is unknown or has a wrong value
     */
    static TuningMethod read(String method, Map<String, String> given) {
        MethodInfo info;
        try {
            info = Methods.named(method);
        } catch (AdapterException e) {
            throw new UsageException("--method: " + e.getMessage(), e);
        }
        Map<String, Object> values = new TreeMap<>();
        given.forEach((name, text) -> {
            Field f = FIELDS.get(name);
            if (!f.defaults().containsKey(info.name())) {
                throw new UsageException(f.option() + " belongs to " + String.join(" and ", f.defaults().keySet()) + ", not to "
                        + info.name() + ". Leave it out, or choose another --method");
            }
            values.put(name, value(f, text));
        });
        try {
            return Methods.configure(info, values);
        } catch (AdapterException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private static Object value(Field f, String text) {
        if (f.type() instanceof ParameterizedType p) {
            if (p.getRawType() == List.class) {
                return Arrays.stream(text.split(",")).map(String::strip).filter(s -> !s.isEmpty())
                        .map(s -> scalar(f, p.getActualTypeArguments()[0], s)).toList();
            }
            if (p.getRawType() == Map.class) {
                return pattern(f, p.getActualTypeArguments()[1], text);
            }
        }
        return scalar(f, inner(f.type()), text);
    }

    private static Map<String, Object> pattern(Field f, Type type, String text) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (String part : text.split(",")) {
            int at = part.lastIndexOf('=');
            if (at <= 0) {
                throw new UsageException(f.option() + ": '" + part + "' is not name=value. Write for example "
                        + f.option() + " q_proj=4,layers.0.self_attn.v_proj=16");
            }
            out.put(part.substring(0, at).strip(), scalar(f, type, part.substring(at + 1).strip()));
        }
        return out;
    }

    private static Object scalar(Field f, Type type, String text) {
        try {
            if (type == int.class || type == Integer.class) {
                return Integer.valueOf(text);
            }
            if (type == double.class || type == Double.class) {
                return Double.valueOf(text);
            }
        } catch (NumberFormatException e) {
            throw new UsageException(f.option() + ": '" + text + "' is not " + (type == int.class || type == Integer.class
                    ? "an integer" : "a number"), e);
        }
        if (type == boolean.class || type == JsonNode.class && text.matches("true|false")) {
            if (!text.matches("true|false")) {
                throw new UsageException(f.option() + ": '" + text + "' is neither true nor false");
            }
            return Boolean.valueOf(text);
        }
        if (type == JsonNode.class && text.matches("\\d{1,9}(\\s*,\\s*\\d{1,9})*")) {
            return Arrays.stream(text.split(",")).map(String::strip).map(Integer::valueOf).toList();
        }
        if (type == Targets.class) {
            Targets t = Targets.parse(text);
            return t.pattern().<Object>map(p -> p).orElse(t.names());
        }
        return text;
    }
}
