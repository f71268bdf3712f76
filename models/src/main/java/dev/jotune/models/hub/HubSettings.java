package dev.jotune.models.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Where models come from and where they are kept, told by the same variables as the hub's own client.
 *
 * @param endpoint the server, without a slash at its end
 * @param token what proves who asks; sent to this server only
 * @param cache the folder that holds {@code models--OWNER--NAME}
 */
public record HubSettings(URI endpoint, Optional<String> token, Path cache) {

    private static final String HUB = "https://huggingface.co";

    /** As the environment of this process says. */
    public static HubSettings fromEnvironment() {
        return from(System.getenv(), Path.of(System.getProperty("user.home")));
    }

    /**
     * {@code HF_ENDPOINT}; {@code HF_TOKEN}, {@code HUGGING_FACE_HUB_TOKEN} or the file {@code HF_TOKEN_PATH} (by default
     * {@code token} in {@code HF_HOME}); {@code HF_HUB_CACHE}, {@code HUGGINGFACE_HUB_CACHE} or {@code hub} in
     * {@code HF_HOME}, which is by default {@code huggingface} in {@code XDG_CACHE_HOME} or {@code ~/.cache}.
     */
    static HubSettings from(Map<String, String> environment, Path home) {
        Path caches = path(environment, "XDG_CACHE_HOME", home, home.resolve(".cache"));
        Path hubHome = path(environment, "HF_HOME", home, caches.resolve("huggingface"));
        Path cache = path(environment, "HF_HUB_CACHE", home,
                path(environment, "HUGGINGFACE_HUB_CACHE", home, hubHome.resolve("hub")));
        String endpoint = set(environment, "HF_ENDPOINT").orElse(HUB).replaceAll("/+$", "");
        URI uri;
        try {
            uri = URI.create(endpoint);
        } catch (IllegalArgumentException e) {
            throw new HubException("HF_ENDPOINT is '" + endpoint + "', which is no address. Set it to one such as " + HUB + ".");
        }
        if (uri.getHost() == null || !"https".equals(uri.getScheme()) && !"http".equals(uri.getScheme())) {
            throw new HubException("HF_ENDPOINT is '" + endpoint + "', which is no address. Set it to one such as " + HUB + ".");
        }
        Path tokenFile = path(environment, "HF_TOKEN_PATH", home, hubHome.resolve("token"));
        Optional<String> token = set(environment, "HF_TOKEN").or(() -> set(environment, "HUGGING_FACE_HUB_TOKEN"))
                .or(() -> read(tokenFile)).map(String::strip).filter(text -> !text.isEmpty());
        token.ifPresent(text -> {
            if (!text.chars().allMatch(c -> c > ' ' && c < 0x7F)) {
                throw new HubException("The token of the hub holds a character that no token has. Set HF_TOKEN anew, or "
                        + "correct " + tokenFile + ".");
            }
        });
        return new HubSettings(uri, token, cache);
    }

    /** Without the token. */
    @Override
    public String toString() {
        return endpoint + " (" + (token.isPresent() ? "with" : "without") + " a token), kept in " + cache;
    }

    private static Optional<String> set(Map<String, String> environment, String name) {
        return Optional.ofNullable(environment.get(name)).map(String::strip).filter(text -> !text.isEmpty());
    }

    private static Path path(Map<String, String> environment, String name, Path home, Path otherwise) {
        return set(environment, name).map(text -> text.equals("~") || text.startsWith("~/")
                ? home.resolve(text.substring(Math.min(2, text.length()))) : Path.of(text)).orElse(otherwise);
    }

    private static Optional<String> read(Path file) {
        try {
            return Files.isRegularFile(file) ? Optional.of(Files.readString(file)) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
