package dev.jotune.models.hub;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/**
 * A server that behaves as the hub does: files of git are sent by itself after a relative redirect, large ones lie at
 * another host, which gives them in ranges. Tests tell it how to misbehave.
 */
final class FakeHub implements AutoCloseable {

    static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

    /** Answers instead of the server, or returns false to let it answer. */
    interface Trouble {
        boolean make(HttpExchange exchange, String path) throws IOException;
    }

    /** What one request looked like. */
    record Request(String host, String method, String path, Optional<String> authorization, Optional<String> range) {}

    final Map<String, byte[]> files = new LinkedHashMap<>();
    final List<Request> requests = new CopyOnWriteArrayList<>();
    /** Asked before every answer of the hub ("hub") and of the host of large files ("cdn"). */
    volatile Trouble hubTrouble = (_, _) -> false;
    volatile Trouble cdnTrouble = (_, _) -> false;
    final Map<String, String> etags = new ConcurrentHashMap<>();
    final List<String> extraPaths = new ArrayList<>();
    volatile String commit = COMMIT;

    private final HttpServer hub = start();
    private final HttpServer cdn = start();

    FakeHub() {
        hub.createContext("/", exchange -> serve("hub", exchange));
        cdn.createContext("/", exchange -> serve("cdn", exchange));
        hub.start();
        cdn.start();
    }

    private static HttpServer start() {
        try {
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    URI endpoint() {
        return URI.create("http://127.0.0.1:" + hub.getAddress().getPort());
    }

    /** By another name, so that it is another host. */
    URI large() {
        return URI.create("http://localhost:" + cdn.getAddress().getPort());
    }

    static String git(byte[] content) {
        return digest("SHA-1", ("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII), content);
    }

    static String sha256(byte[] content) {
        return digest("SHA-256", content);
    }

    private static String digest(String algorithm, byte[]... parts) {
        try {
            MessageDigest digest = MessageDigest.getInstance(algorithm);
            for (byte[] part : parts) {
                digest.update(part);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    static boolean isLarge(String path) {
        return path.endsWith(".safetensors") || path.endsWith(".gguf") || path.endsWith(".bin");
    }

    String etag(String path) {
        byte[] content = files.get(path);
        return etags.getOrDefault(path, isLarge(path) ? sha256(content) : git(content));
    }

    private void serve(String host, HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        requests.add(new Request(host, exchange.getRequestMethod(), path,
                Optional.ofNullable(exchange.getRequestHeaders().getFirst("Authorization")),
                Optional.ofNullable(exchange.getRequestHeaders().getFirst("Range"))));
        try (exchange) {
            if ((host.equals("hub") ? hubTrouble : cdnTrouble).make(exchange, path)) {
                return;
            }
            if (host.equals("cdn")) {
                ranged(exchange, files.get(path.substring(1)));
            } else if (path.startsWith("/api/models/")) {
                List<String> paths = new ArrayList<>(files.keySet());
                paths.addAll(extraPaths);
                send(exchange, 200, ("{\"sha\": \"" + commit + "\", \"siblings\": [" + paths.stream()
                        .map(name -> "{\"rfilename\": \"" + name.replace("\\", "\\\\") + "\"}").collect(Collectors.joining(", "))
                        + "]}").getBytes(StandardCharsets.UTF_8));
            } else {
                resolve(exchange, path);
            }
        }
    }

    private void resolve(HttpExchange exchange, String path) throws IOException {
        String name = path.replaceFirst("^/(cached/)?[^/]+/[^/]+/resolve/[^/]+/", "");
        byte[] content = files.get(name);
        if (content == null) {
            exchange.getResponseHeaders().add("X-Error-Code", "EntryNotFound");
            send(exchange, 404, new byte[0]);
            return;
        }
        exchange.getResponseHeaders().add("X-Repo-Commit", commit);
        if (isLarge(name)) {
            exchange.getResponseHeaders().add("X-Linked-Etag", "\"" + etag(name) + "\"");
            exchange.getResponseHeaders().add("X-Linked-Size", String.valueOf(content.length));
            redirect(exchange, 302, large() + "/" + name);
        } else if (!path.startsWith("/cached/")) {
            redirect(exchange, 307, "/cached" + exchange.getRequestURI().getRawPath());
        } else {
            exchange.getResponseHeaders().add("ETag", "W/\"" + etag(name) + "\"");
            ranged(exchange, content);
        }
    }

    static void redirect(HttpExchange exchange, int status, String location) throws IOException {
        exchange.getResponseHeaders().add("Location", location);
        exchange.sendResponseHeaders(status, -1);
    }

    static void ranged(HttpExchange exchange, byte[] content) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        if (range == null) {
            send(exchange, 200, content);
            return;
        }
        int from = Integer.parseInt(range.replaceAll("bytes=([0-9]+)-", "$1"));
        if (from >= content.length) {
            send(exchange, 416, new byte[0]);
            return;
        }
        exchange.getResponseHeaders().add("Content-Range", "bytes " + from + "-" + (content.length - 1) + "/" + content.length);
        send(exchange, 206, java.util.Arrays.copyOfRange(content, from, content.length));
    }

    static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().add("Content-Length", String.valueOf(body.length));
            exchange.sendResponseHeaders(status, -1);
            return;
        }
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
    }

    /** Promises all of {@code content} and sends only {@code count} bytes of it. */
    static void breakOff(HttpExchange exchange, byte[] content, int count) throws IOException {
        exchange.sendResponseHeaders(200, content.length);
        exchange.getResponseBody().write(content, 0, count);
        exchange.getResponseBody().flush();
    }

    @Override
    public void close() {
        hub.stop(0);
        cdn.stop(0);
    }
}
