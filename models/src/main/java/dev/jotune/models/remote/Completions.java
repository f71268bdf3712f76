package dev.jotune.models.remote;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.ModelException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Asks an OpenAI-compatible {@code /completions} for one token and its likeliest alternatives, as vLLM, llama.cpp and others serve it. */
final class Completions {

    /** A token that may come next. */
    record Candidate(String text, OptionalInt id, double logProbability) {}

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int LONGEST_ANSWER = 4 << 20;
    private static final int LONGEST_QUOTE = 200;
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(30);
    private static final String TOKEN_ID = "token_id:";

    /** A failure that may pass, and how long the server asks to wait. */
    private static final class Passing extends Exception {
        private static final long serialVersionUID = 1;
        private final transient Optional<Duration> wanted;

        Passing(String message, Optional<Duration> wanted, Throwable cause) {
            super(message, cause);
            this.wanted = wanted;
        }
    }

    private final RemoteSettings settings;
    // A redirect could carry the key to another server.
    private final HttpClient http;

    Completions(RemoteSettings settings) {
        this.settings = settings;
        this.http = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).connectTimeout(settings.timeout()).build();
    }

    /**
     * The likeliest tokens after a text.
     *
     * @throws ModelException saying what the server refused, or that it did not answer in time however often it was asked
     */
    List<Candidate> next(int... history) {
        ObjectNode body = MAPPER.createObjectNode().put("model", settings.model()).put("max_tokens", 1).put("temperature", 1)
                .put("logprobs", settings.topK());
        for (int id : history) {
            body.withArray("prompt").add(id);
        }
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(settings.endpoint() + "/completions")).timeout(settings.timeout())
                .header("Content-Type", "application/json").header("User-Agent", "jotune")
                .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
        settings.key().ifPresent(key -> request.header("Authorization", "Bearer " + key));
        Duration pause = settings.pause();
        for (int attempt = 1; ; attempt++) {
            try {
                return candidates(answer(request.build()));
            } catch (Passing e) {
                if (attempt >= settings.attempts()) {
                    throw new ModelException(e.getMessage() + " It was asked " + attempt + " times. Try again later, or check the server.", e);
                }
                Duration wait = e.wanted.orElse(pause);
                sleep(wait.compareTo(LONGEST_WAIT) > 0 ? LONGEST_WAIT : wait);
                pause = pause.multipliedBy(2);
            }
        }
    }

    private JsonNode answer(HttpRequest request) throws Passing {
        HttpResponse<byte[]> response = send(request);
        int status = response.statusCode();
        String said = quoted(response.body());
        if (status == 408 || status == 429 || status >= 500) {
            throw new Passing(settings.endpoint() + " answers " + status + said + ".", wait(response), null);
        }
        if (status == 401 || status == 403) {
            throw new ModelException(settings.endpoint() + " refuses " + (settings.key().isPresent() ? "the key" : "to answer without a key")
                    + " (" + status + said + "). Set " + RemoteSettings.KEY + " to one that may use " + settings.model() + ".");
        }
        if (status != 200) {
            throw new ModelException(settings.endpoint() + "/completions answers " + status + said + ". Check the address, the model's name "
                    + "'" + settings.model() + "', the length of the text and whether the server allows " + settings.topK() + " log-probabilities.");
        }
        try {
            return MAPPER.readTree(response.body());
        } catch (JsonProcessingException e) {
            throw new ModelException(settings.endpoint() + " does not answer in JSON" + said + ". Check the address.");
        } catch (IOException e) {
            throw new ModelException("The answer of " + settings.endpoint() + " cannot be read: "
                    + shortened(String.valueOf(e.getMessage()), settings.key()) + ".", e);
        }
    }

    /** The whole exchange in the time that one request has: the client's own limit ends with the headers. */
    private HttpResponse<byte[]> send(HttpRequest request) throws Passing {
        CompletableFuture<HttpResponse<byte[]>> exchange = http.sendAsync(request,
                HttpResponse.BodyHandlers.limiting(HttpResponse.BodyHandlers.ofByteArray(), LONGEST_ANSWER));
        try {
            return exchange.get(settings.timeout().toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw late(exchange, e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof HttpTimeoutException) {
                throw late(exchange, e);
            }
            String reason = e.getCause().getMessage() == null ? e.getCause().getClass().getSimpleName() : e.getCause().getMessage();
            // The reason may quote what is no HTTP.
            throw new Passing(settings.endpoint() + " cannot be reached (" + shortened(reason, settings.key()) + ").", Optional.empty(),
                    e.getCause());
        } catch (InterruptedException e) {
            exchange.cancel(true);
            Thread.currentThread().interrupt();
            throw new ModelException("Waiting for " + settings.endpoint() + " was interrupted. Ask again.", e);
        }
    }

    private Passing late(CompletableFuture<?> exchange, Exception e) {
        exchange.cancel(true);
        return new Passing(settings.endpoint() + " did not answer within " + settings.timeout().toMillis() + " ms.", Optional.empty(), e);
    }

    private static Optional<Duration> wait(HttpResponse<?> response) {
        return response.headers().firstValue("Retry-After").map(String::strip).filter(text -> text.matches("[0-9]{1,5}"))
                .map(text -> Duration.ofSeconds(Long.parseLong(text)));
    }

    private void sleep(Duration wait) {
        try {
            Thread.sleep(wait);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ModelException("Waiting for " + settings.endpoint() + " was interrupted. Ask again.", e);
        }
    }

    /** What a server says to people, in short, on one line, and without the key if it repeats it. */
    private String quoted(byte[] body) {
        String text = new String(body, 0, Math.min(body.length, LONGEST_ANSWER), StandardCharsets.UTF_8);
        try {
            JsonNode json = MAPPER.readTree(text);
            JsonNode message = json.path("error").path("message");
            text = message.isTextual() ? message.asText() : json.path("message").asText(text);
        } catch (JsonProcessingException e) {
            // Then as it is.
        }
        text = shortened(text, settings.key());
        return text.isEmpty() ? "" : ": '" + text + "'";
    }

    /** A foreign text in short, on one line, without what changes how a terminal shows it, and without the key. */
    static String shortened(String text, Optional<String> key) {
        String line = (key.isPresent() ? text.replace(key.get(), "***") : text).replaceAll("[\\s\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]+", " ").strip();
        return line.length() > LONGEST_QUOTE ? line.substring(0, LONGEST_QUOTE) + "..." : line;
    }

    /** The alternatives of the one token, in either form that servers use. */
    private List<Candidate> candidates(JsonNode answer) {
        JsonNode logprobs = answer.path("choices").path(0).path("logprobs");
        List<Candidate> out = new ArrayList<>();
        JsonNode byText = logprobs.path("top_logprobs").path(0);
        byText.properties().forEach(e -> out.add(candidate(e.getKey(), OptionalInt.empty(), e.getValue())));
        for (JsonNode one : logprobs.path("content").path(0).path("top_logprobs")) {
            OptionalInt id = one.path("id").canConvertToInt() ? OptionalInt.of(one.get("id").intValue()) : OptionalInt.empty();
            out.add(candidate(one.path("token").asText(), id, one.path("logprob")));
        }
        if (out.isEmpty()) {
            throw new ModelException("The answer of " + settings.endpoint() + " holds no log-probabilities. Ask a server that gives them on "
                    + "/completions (\"logprobs\": " + settings.topK() + ").");
        }
        return out;
    }

    private Candidate candidate(String text, OptionalInt id, JsonNode logProbability) {
        double value = logProbability.asDouble(Double.NaN);
        if (!logProbability.isNumber() || !Double.isFinite(value)) {
            throw new ModelException("The answer of " + settings.endpoint() + " gives the token '" + shortened(text, settings.key())
                    + "' the log-probability " + shortened(logProbability.toString(), settings.key()) + ", which is no number. Check the server.");
        }
        boolean named = id.isEmpty() && text.matches(TOKEN_ID + "[0-9]{1,9}");
        return new Candidate(text, named ? OptionalInt.of(Integer.parseInt(text.substring(TOKEN_ID.length()))) : id, value);
    }
}
