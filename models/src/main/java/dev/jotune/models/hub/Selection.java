package dev.jotune.models.hub;

import java.util.List;
import java.util.regex.Pattern;

/**
 * Which files of a repository are wanted. A pattern's {@code *} stands for any characters, {@code ?} for one, and
 * {@code [abc]} for one of some, slashes included, as in the hub's own client.
 *
 * @param include patterns of which a file must match one; none stands for what a model needs: its configuration, its
 *     tokenizer, and its weights as safetensors, or where there are none as {@code .bin}
 * @param exclude patterns of which it must match none
 */
public record Selection(List<String> include, List<String> exclude) {

    /** What a model needs. */
    public static final Selection MODEL = new Selection(List.of(), List.of());

    private static final List<String> SMALL = List.of(".json", ".txt", ".model", ".jinja", ".tiktoken");

    public Selection {
        include = List.copyOf(include);
        exclude = List.copyOf(exclude);
    }

    List<String> of(List<String> paths) {
        boolean safetensors = paths.stream().anyMatch(path -> isTop(path) && path.endsWith(".safetensors"));
        boolean named = paths.stream().anyMatch(path -> isTop(path) && path.startsWith("model") && path.endsWith(".safetensors"));
        return paths.stream().filter(path -> include.isEmpty() ? needed(path, safetensors, named) : matches(include, path))
                .filter(path -> !matches(exclude, path)).toList();
    }

    private static boolean needed(String path, boolean safetensors, boolean named) {
        String name = path.substring(path.lastIndexOf('/') + 1);
        if (!isTop(path)) {
            // Further templates, and the modules of a sentence encoder: 1_Pooling/config.json.
            return path.matches("additional_chat_templates/[^/]+\\.jinja|[0-9]+_[A-Za-z]+/config\\.json");
        }
        if (name.endsWith(".safetensors")) {
            // Some repositories hold the weights twice, once in their maker's own form.
            return !(named && name.startsWith("consolidated"));
        }
        return name.endsWith(".bin") ? !safetensors && !name.startsWith("training_args") && !name.startsWith("optimizer")
                : SMALL.stream().anyMatch(name::endsWith) && (!safetensors || !name.endsWith(".bin.index.json"));
    }

    private static boolean isTop(String path) {
        return path.indexOf('/') < 0;
    }

    private static boolean matches(List<String> patterns, String path) {
        return patterns.stream().anyMatch(pattern -> regex(pattern).matcher(path).matches());
    }

    private static Pattern regex(String pattern) {
        StringBuilder regex = new StringBuilder();
        String whole = pattern.endsWith("/") ? pattern + "*" : pattern;
        for (int i = 0; i < whole.length(); i++) {
            char c = whole.charAt(i);
            int close = c == '[' ? whole.indexOf(']', i + 2) : -1;
            if (close > 0) {
                String set = whole.substring(i + 1, close).replace("\\", "\\\\").replace("[", "\\[").replace("&", "\\&");
                regex.append('[').append(set.startsWith("!") ? "^" + set.substring(1) : set.replace("^", "\\^")).append(']');
                i = close;
            } else {
                regex.append(c == '*' ? ".*" : c == '?' ? "." : Pattern.quote(String.valueOf(c)));
            }
        }
        try {
            return Pattern.compile(regex.toString(), Pattern.DOTALL);
        } catch (java.util.regex.PatternSyntaxException e) {
            throw new HubException("The pattern '" + pattern + "' cannot be read (" + e.getDescription()
                    + "). Write one such as *.gguf.");
        }
    }
}
