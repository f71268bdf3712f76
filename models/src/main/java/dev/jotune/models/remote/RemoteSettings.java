package dev.jotune.models.remote;

import dev.jotune.models.ModelException;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * Where a model is served and how it is asked.
 *
 * @param endpoint without a slash at its end, such as {@code https://host/v1}; {@code /completions} is added
 * @param model as the server calls it
 * @param topK how many of the likeliest tokens are asked for
 * @param key what proves who asks
 * @param timeout of one request
 * @param attempts how often a request is made that fails for a passing reason
 * @param pause before the second attempt; twice as long before each next one
 */
public record RemoteSettings(URI endpoint, String model, int topK, Optional<String> key, Duration timeout, int attempts, Duration pause) {

    /** The environment variable that holds the key. */
    public static final String KEY = "JOTUNE_API_KEY";

    /** How many tokens are asked for where nobody says; servers allow no more as a rule. */
    public static final int DEFAULT_TOP_K = 20;

    /** @throws ModelException if the endpoint is no address, would send a key in the clear, or a number is out of range */
    public RemoteSettings {
        boolean secure = "https".equals(endpoint.getScheme());
        if (endpoint.getHost() == null || !secure && !"http".equals(endpoint.getScheme()) || endpoint.getRawUserInfo() != null
                || endpoint.getRawQuery() != null || endpoint.getRawFragment() != null) {
            throw new ModelException("The endpoint of '" + model + "' is no address of the kind https://host/v1. Write it so, without a "
                    + "name and a password before the host or a question after it; a key belongs into " + KEY + ".");
        }
        if (key.isPresent() && !secure && !endpoint.getHost().matches("localhost|127\\.0\\.0\\.1|\\[::1]")) {
            throw new ModelException("The key in " + KEY + " would cross the network to " + endpoint.getHost() + " in the clear. Use https, "
                    + "or unset the variable.");
        }
        if (key.isPresent() && !key.get().chars().allMatch(c -> c > ' ' && c < 0x7F)) {
            throw new ModelException(KEY + " holds a character that no key has. Set it anew.");
        }
        if (topK < 1 || attempts < 1 || timeout.isNegative() || timeout.isZero() || pause.isNegative() || model.isBlank()) {
            throw new ModelException("A remote model needs a name, at least one token to be told of (here " + topK + "), one attempt (here "
                    + attempts + ") and some time (here " + timeout.toMillis() + " ms). Correct what is less.");
        }
    }

    /**
     * Reads {@code https://host/v1#model}, with the key of this process's environment.
     *
     * @throws ModelException if it is no such address
     */
    public static RemoteSettings parse(String address, int topK) {
        return parse(address, topK, System.getenv());
    }

    static RemoteSettings parse(String address, int topK, Map<String, String> environment) {
        URI uri;
        try {
            uri = new URI(address);
        } catch (URISyntaxException _) {
            // Neither the address nor the cause, which repeats it, is shown: people put keys there.
            throw new ModelException("What was given for the remote model is no address. Write https://host/v1#model.");
        }
        if (uri.getFragment() == null || uri.getFragment().isBlank()) {
            throw new ModelException("The remote model's address does not say which model. Write https://host/v1#model.");
        }
        Optional<String> key = Optional.ofNullable(environment.get(KEY)).map(String::strip).filter(text -> !text.isEmpty());
        return new RemoteSettings(URI.create(address.substring(0, address.indexOf('#')).replaceAll("/+$", "")), uri.getFragment(), topK,
                key, Duration.ofSeconds(60), 3, Duration.ofSeconds(1));
    }

    /** Without the key. */
    @Override
    public String toString() {
        return model + " at " + endpoint + " (" + topK + " likeliest tokens, " + (key.isPresent() ? "with" : "without") + " a key)";
    }
}
