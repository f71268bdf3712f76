package dev.jotune.models.hub;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The name of a model on the hub: {@code OWNER/NAME}.
 *
 * @param text as written
 */
public record RepoId(String text) {

    private static final Pattern PART = Pattern.compile("[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?");

    /** The name, if that is what {@code text} can be. */
    public static Optional<RepoId> of(String text) {
        String[] parts = text.split("/", -1);
        boolean good = parts.length == 2 && PART.matcher(parts[0]).matches() && PART.matcher(parts[1]).matches()
                && !text.contains("--") && !text.contains("..");
        return good ? Optional.of(new RepoId(text)) : Optional.empty();
    }

    /** Its folder in the cache. */
    String folder() {
        return "models--" + text.replace("/", "--");
    }

    @Override
    public String toString() {
        return text;
    }
}
