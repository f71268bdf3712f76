package dev.jotune.models.remote;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.tokenizer.Tokenizer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A served model against a server of the test's own: what is asked, what is made of the answers, and what goes wrong. */
class RemoteModelTest {
    private static final String SECRET = "sk-very-secret-123";
    private static final Models.Loaded LOCAL = Models.embedded();
    private static final Tokenizer TOKENIZER = LOCAL.requireTokenizer();
    private static final int V = LOCAL.model().vocabularySize();
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Answers one request. */
    private interface Answer {
        void to(HttpExchange exchange, int number) throws IOException;
    }

    private final List<JsonNode> asked = Collections.synchronizedList(new ArrayList<>());
    private final List<String> keys = Collections.synchronizedList(new ArrayList<>());
    private final CountDownLatch end = new CountDownLatch(1);
    private HttpServer server;
    private Answer answer;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/v1/completions", exchange -> {
            try (exchange) {
                asked.add(JSON.readTree(exchange.getRequestBody().readAllBytes()));
                keys.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
                answer.to(exchange, asked.size());
            }
        });
        server.start();
    }

    @AfterEach
    void stop() {
        end.countDown();
        server.stop(0);
    }

    private static void reply(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    private void answering(String topLogprobs) {
        answer = (exchange, _) -> reply(exchange, 200, "{\"choices\":[{\"text\":\"x\",\"logprobs\":{\"top_logprobs\":[" + topLogprobs + "]}}]}");
    }

    private RemoteSettings settings(Optional<String> key) {
        return new RemoteSettings(URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1"), "big", 5, key,
                Duration.ofMillis(1500), 3, Duration.ofMillis(1));
    }

    private RemoteModel model() {
        return new RemoteModel(settings(Optional.of(SECRET)), TOKENIZER, V);
    }

    private static float[] logits(LanguageModel model, int... history) {
        float[] out = new float[model.vocabularySize()];
        try (LanguageModel.Session session = model.open()) {
            session.feed(history);
            session.logits(out);
        }
        return out;
    }

    private static int token(String text) {
        return TOKENIZER.tokenToId(text).orElseThrow();
    }

    private String failure(int requests) {
        String[] said = new String[1];
        assertThatThrownBy(() -> logits(model(), 1, 2)).isInstanceOf(ModelException.class).satisfies(e -> {
            said[0] = e.getMessage();
            for (Throwable t = e; t != null; t = t.getCause()) {
                assertThat(String.valueOf(t.getMessage())).doesNotContain(SECRET);
            }
        });
        assertThat(asked).hasSize(requests);
        assertThat(said[0]).endsWith(".");
        return said[0];
    }

    @Test
    void aTextIsSentAsIdsAndTheLikeliestTokensAreItsLogits() {
        int the = token("▁the");
        answering("{\" the\": -0.5, \"token_id:7\": -1.5, \"</s>\": -2.5, \"no such token at all\": -3}");
        float[] got = logits(model(), 1, 5, 9);
        assertThat(asked.getFirst()).isEqualTo(JSON.valueToTree(Map.of("model", "big", "max_tokens", 1, "temperature", 1, "logprobs", 5,
                "prompt", List.of(1, 5, 9))));
        assertThat(keys).containsExactly("Bearer " + SECRET);
        for (int id = 0; id < V; id++) {
            float want = id == the ? -0.5f : id == 7 ? -1.5f : id == token("</s>") ? -2.5f : Float.NEGATIVE_INFINITY;
            assertThat(got[id]).as(TOKENIZER.idToToken(id).orElse("")).isEqualTo(want);
        }
        assertThat(model().note()).contains("5 likeliest tokens", "re-ranks");
    }

    @Test
    void theOtherFormOfAnswersIsReadToo() {
        answer = (exchange, _) -> reply(exchange, 200, "{\"choices\":[{\"logprobs\":{\"content\":[{\"top_logprobs\":["
                + "{\"id\":11,\"token\":\"?\",\"logprob\":-0.25},{\"token\":\" the\",\"logprob\":-2}]}]}}]}");
        float[] got = logits(model(), 1);
        assertThat(got[11]).isEqualTo(-0.25f);
        assertThat(got[token("▁the")]).isEqualTo(-2f);
    }

    @Test
    void aCombinationReRanksTheServersTokensAndAddsNone() {
        answering("{\"token_id:20\": -0.1, \"token_id:30\": -0.3, \"token_id:40\": -5}");
        LanguageModel small = new CausalLanguageModel(LOCAL.model(), LOCAL.model().seams()::inference);
        LanguageModel expert = Logits.process(small, () -> (history, length, logits) -> {
            logits[30] += 1;
            logits[50] += 100;
        });
        LanguageModel combined = model().plus(1, expert.minus(small));
        float[] got = logits(combined, 1, 4);
        assertThat(got[20]).isCloseTo(-0.1f, within(1e-4f));
        assertThat(got[30]).isCloseTo(0.7f, within(1e-4f));
        assertThat(got[50]).isEqualTo(Float.NEGATIVE_INFINITY);
        asked.clear();
        assertThat(new Generator(combined, SamplingOptions.greedy(3)).generate(new int[] {1, 4}).tokens()).containsExactly(30, 30, 30);
        assertThat(asked.stream().map(a -> a.get("prompt").size())).as("one request a token").containsExactly(2, 3, 4);
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 429, 500, 503})
    void whatMayPassIsAskedAgainButNotForEver(int status) {
        answer = (exchange, number) -> {
            exchange.getResponseHeaders().add("Retry-After", "0");
            reply(exchange, number < 3 ? status : 200, "{\"choices\":[{\"logprobs\":{\"top_logprobs\":[{\"token_id:3\":-1}]}}]}");
        };
        assertThat(logits(model(), 1)[3]).isEqualTo(-1f);
        assertThat(asked).hasSize(3);
        asked.clear();
        answer = (exchange, _) -> reply(exchange, status, "{\"error\":{\"message\":\"no room for " + SECRET + "\"}}");
        assertThat(failure(3)).contains("" + status, "'no room for ***'", "asked 3 times");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            401 | {"error":{"message":"bad key sk-very-secret-123"}} | refuses the key (401: 'bad key ***')
            403 | {}                                                 | JOTUNE_API_KEY
            404 | {"error":{"message":"no model big"}}               | answers 404: 'no model big'
            400 | too long                                           | 400: 'too long'
            302 | ''                                                 | answers 302
            200 | <html>                                             | not answer in JSON: '<html>'
            200 | {"choices":[{"text":"a","logprobs":null}]}         | holds no log-probabilities
            200 | {"choices":[{"logprobs":{"top_logprobs":[{"a":"x"}]}}]}      | log-probability "x", which is no number
            200 | {"choices":[{"logprobs":{"top_logprobs":[{"no such token":-1}]}}]} | None of the 1 tokens
            200 | {"choices":[{"logprobs":{"top_logprobs":[{"token_id:99999":-1}]}}]} | None of the 1 tokens
            """)
    void whatWillNotPassIsSaidAtOnce(int status, String body, String message) {
        answer = (exchange, _) -> {
            exchange.getResponseHeaders().add("Location", "http://127.0.0.1:9/");
            reply(exchange, status, body);
        };
        assertThat(failure(1)).contains(message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"no number\"", "-1"})
    void whatAServerCallsATokenIsSaidInShort(String logProbability) {
        String token = "a\\u001b[31m\\u202e\\n" + SECRET + "b".repeat(5000);
        answering("{\"" + token + "\": " + logProbability + "}");
        assertThat(failure(1)).contains("'a [31m ***bbb").hasSizeLessThan(500).doesNotContain("\u001b", "\u202e", "\n");
    }

    @Test
    void aServerThatDoesNotAnswerInTimeIsGivenUp() {
        answer = (exchange, number) -> {
            if (number == 2) {
                // The headers come in time, the rest does not.
                exchange.sendResponseHeaders(200, 100);
                exchange.getResponseBody().write('{');
                exchange.getResponseBody().flush();
            }
            try {
                end.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        };
        assertThat(failure(3)).contains("did not answer within 1500 ms", "asked 3 times");
    }

    @Test
    void aServerThatIsNotThereIsSaid() {
        server.stop(0);
        assertThat(failure(0)).contains("cannot be reached", "asked 3 times");
    }

    @Test
    void settingsAreReadWithTheKeyOfTheEnvironmentAndNeverShowIt() {
        RemoteSettings s = RemoteSettings.parse("https://host/v1/#org/big", 7, Map.of(RemoteSettings.KEY, " " + SECRET + " "));
        assertThat(s.endpoint()).hasToString("https://host/v1");
        assertThat(s.model()).isEqualTo("org/big");
        assertThat(s.key()).contains(SECRET);
        assertThat(s.toString()).doesNotContain(SECRET).contains("with a key");
        assertThat(RemoteSettings.parse("http://host/v1#big", 7, Map.of()).key()).isEmpty();
        assertThatThrownBy(() -> RemoteSettings.parse("http://host/v1#big", 7, Map.of(RemoteSettings.KEY, SECRET)))
                .hasMessageContaining("in the clear").message().doesNotContain(SECRET);
        assertThatThrownBy(() -> RemoteSettings.parse("https://host/v1", 7, Map.of())).hasMessageContaining("which model");
        assertThatThrownBy(() -> RemoteSettings.parse("ftp://host/v1#m", 7, Map.of())).hasMessageContaining("no address");
        for (String address : List.of("https://me:secret@host/v1#m", "https://host/v1?key=secret#m", "https://me:secret@a b#m",
                "https://me:secret@host/v1")) {
            assertThatThrownBy(() -> RemoteSettings.parse(address, 7, Map.of())).isInstanceOf(ModelException.class)
                    .hasMessageContaining("address").hasMessageNotContaining("secret").hasNoCause();
        }
        assertThatThrownBy(() -> RemoteSettings.parse("https://a b#m", 7, Map.of())).hasMessageContaining("no address");
        assertThatThrownBy(() -> RemoteSettings.parse("https://host/v1#m", 0, Map.of())).hasMessageContaining("here 0");
        assertThatThrownBy(() -> RemoteSettings.parse("https://host/v1#m", 5, Map.of(RemoteSettings.KEY, "a\nb")))
                .hasMessageContaining("Set it anew");
    }
}
