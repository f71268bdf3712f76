package dev.jotune.peft;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.models.Backbone;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;

/**
 * Which modules a method takes, with PEFT's rules: a list entry matches the whole path or a path that ends in
 * "." + entry; a text is a regular expression for the whole path; {@code all-linear} is every linear layer but the
 * output head.
 *
 * @param names list entries
 * @param pattern instead of names: a regular expression, or {@code all-linear}
 */
public record Targets(List<String> names, Optional<String> pattern) {
    /** What PEFT takes for the model's family when nothing is said: see {@link #of(Backbone)}. */
    public static final Targets DEFAULT = matching("default");

    /** Every linear layer but the head. */
    public static final String ALL_LINEAR = "all-linear";

    /** By names. */
    public static Targets of(String... names) {
        return new Targets(List.of(names), Optional.empty());
    }

    /**
     * The projections that LoRA's descendants take by default, query and value as a rule, by the names that the model's
     * family gives them. A superset of PEFT's table.
     *
     * @throws AdapterException if there is no custom for the family
     */
    public static Targets of(Backbone model) {
        return switch (model.modelType()) {
            case "llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "gemma2", "gemma3_text", "olmo2", "bart", "whisper",
                    "clip", "clip_text_model", "clip_vision_model" -> of("q_proj", "v_proj");
            case "phi3" -> of("qkv_proj");
            case "gpt2" -> of("c_attn");
            case "t5" -> of("q", "v");
            case "bert", "roberta", "vit", "audio-spectrogram-transformer" -> of("query", "value");
            case "distilbert" -> of("q_lin", "v_lin");
            case "deberta-v2" -> of("query_proj", "value_proj");
            case "mamba" -> of("in_proj", "x_proj");
            default -> throw new AdapterException("there are no default target_modules for a " + model.modelType()
                    + " model. Name them, or say " + ALL_LINEAR + ". Its linear layers are called: "
                    + model.seams().projections().keySet().stream().map(p -> p.substring(p.lastIndexOf('.') + 1)).distinct().sorted()
                    .collect(Collectors.joining(", ")) + ".");
        };
    }

    /** By regular expression, or {@code all-linear}. */
    public static Targets matching(String pattern) {
        return new Targets(List.of(), Optional.of(pattern));
    }

    /** As users write it: {@code default}, {@code all-linear}, {@code q_proj,v_proj}, or a regular expression. */
    public static Targets parse(String text) {
        boolean names = text.matches("[\\w.,\\s-]+") && !text.equals(ALL_LINEAR) && !text.equals(DEFAULT.pattern().get());
        return names ? of(text.trim().split("\\s*,\\s*")) : matching(text);
    }

    @JsonCreator
    static Targets fromJson(JsonNode n) {
        if (n.isTextual()) {
            return matching(n.textValue());
        }
        List<String> out = new ArrayList<>();
        for (JsonNode e : n) {
            if (!e.isTextual()) {
                throw new AdapterException("a list of module names holds " + e + ", expected texts.");
            }
            out.add(e.textValue());
        }
        return new Targets(out, Optional.empty());
    }

    @JsonValue
    Object toJson() {
        return pattern.<Object>map(p -> p).orElse(names);
    }

    /** True for {@link #DEFAULT}. */
    public boolean isDefault() {
        return equals(DEFAULT);
    }

    /** True for {@code all-linear}. */
    public boolean isAllLinear() {
        return pattern.filter(ALL_LINEAR::equals).isPresent();
    }

    /** Whether {@code path} is meant, apart from {@code all-linear}. */
    public boolean matches(String path) {
        if (pattern.isPresent()) {
            return compile(pattern.get()).matcher(path).matches();
        }
        return names.stream().anyMatch(n -> path.equals(n) || path.endsWith("." + n));
    }

    /** The number of the layer that {@code path} lies in: the first numbered segment, or the one after {@code pattern}. */
    public static Optional<Integer> layerOf(String path, List<String> layersPattern) {
        if (layersPattern.isEmpty()) {
            Matcher m = Pattern.compile(".*?\\.[^.]*\\.(\\d+)\\.").matcher(path);
            return m.lookingAt() ? Optional.of(Integer.valueOf(m.group(1))) : Optional.empty();
        }
        for (String p : layersPattern) {
            Matcher m = compile(".*\\." + p + "\\.(\\d+)\\.").matcher(path);
            if (m.lookingAt()) {
                return Optional.of(Integer.valueOf(m.group(1)));
            }
        }
        return Optional.empty();
    }

    /** What {@code rank_pattern} or {@code alpha_pattern} says of {@code path}: their keys are expressions tied to its end. */
    public static <T> Optional<T> valueAt(String path, Map<String, T> patterns) {
        return patterns.entrySet().stream().filter(e -> compile("(.*\\.)?(" + e.getKey() + ")$").matcher(path).matches())
                .map(Map.Entry::getValue).findFirst();
    }

    private static Pattern compile(String regex) {
        try {
            // Python's named groups, which Java writes otherwise and without underscores.
            Matcher names = Pattern.compile("\\(\\?P([<=])(\\w+)([>)])").matcher(regex);
            return Pattern.compile(names.replaceAll(m -> {
                String name = "g" + m.group(2).replace("_", "U");
                return Matcher.quoteReplacement(m.group(1).equals("<") ? "(?<" + name + ">" : "\\k<" + name + ">");
            }));
        } catch (PatternSyntaxException e) {
            throw new AdapterException("'" + regex + "' is not a regular expression: " + e.getDescription()
                    + ". To name modules, give a list such as q_proj,v_proj.", e);
        }
    }
}
