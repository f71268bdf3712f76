package dev.jotune.models.hub;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Collectors;

/** Speaks the hub's protocol: what files a model has, what each is called and how long it is, and its bytes. */
final class HubClient implements AutoCloseable {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int MOST_REDIRECTS = 10;
    private static final int LONGEST_LIST = 64 << 20;
    private static final long LONGEST_WAIT_SECONDS = 86_400;
    private static final int MOST_FILES = 100_000;
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    /** The files of a model at one commit. */
    record Listing(String commit, List<String> paths) {}

    /**
     * @param etag what the content is known by: its SHA-256 or git's SHA-1, or anything else
     * @param size in bytes, where the server says
     */
    record FileInfo(String path, String etag, OptionalLong size) {}

    private final HubSettings settings;
    // Redirects are followed here, so that the token goes to one server only.
    private final HttpClient http = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(PATIENCE).build();

    HubClient(HubSettings settings) {
        this.settings = settings;
    }

    Listing list(RepoId repo, String revision) {
        URI uri = URI.create(settings.endpoint() + "/api/models/" + repo + "/revision/" + encoded(revision, "%2F"));
        HttpResponse<InputStream> response = send("GET", uri, Map.of(), repo, "revision '" + revision + "'");
        JsonNode json;
        try (InputStream body = response.body()) {
            byte[] bytes = body.readNBytes(LONGEST_LIST + 1);
            if (bytes.length > LONGEST_LIST) {
                throw new HubException("The server's list of the files of " + repo + " is longer than " + LONGEST_LIST
                        + " bytes. Check HF_ENDPOINT.");
            }
            json = MAPPER.readTree(bytes);
        } catch (JsonProcessingException e) {
            throw new HubException("The server's list of the files of " + repo + " is not JSON. Check HF_ENDPOINT, and whether "
                    + "a proxy answers instead of the hub.", e, false);
        } catch (IOException e) {
            throw lost(uri, e);
        }
        String commit = json.path("sha").asText();
        JsonNode siblings = json.path("siblings");
        if (!HubCache.isCommit(commit) || !siblings.isArray() || siblings.size() > MOST_FILES) {
            throw new HubException("The server's list of the files of " + repo + " has no commit or no files, or more than "
                    + MOST_FILES + ". Check HF_ENDPOINT.");
        }
        Set<String> paths = new LinkedHashSet<>();
        siblings.forEach(file -> paths.add(HubCache.requirePath(file.path("rfilename").asText(), "a file of " + repo)));
        return new Listing(commit, List.copyOf(paths));
    }

    FileInfo info(RepoId repo, String commit, String path) {
        HttpResponse<InputStream> response = send("HEAD", address(repo, commit, path), Map.of(), repo, path);
        close(response);
        Optional<String> etag = response.headers().firstValue("X-Linked-Etag").or(() -> response.headers().firstValue("ETag"));
        if (etag.isEmpty()) {
            throw new HubException("The server does not say the ETag of " + path + " of " + repo + ". Check HF_ENDPOINT, and "
                    + "whether a proxy drops headers.");
        }
        boolean redirected = response.statusCode() / 100 == 3;
        OptionalLong size = number(response.headers().firstValue("X-Linked-Size"));
        if (size.isEmpty() && !redirected) {
            size = number(response.headers().firstValue("Content-Length"));
        }
        return new FileInfo(path, etag.get().replaceFirst("^W/", "").replace("\"", ""), size);
    }

    /** The bytes of a file from {@code start} on; the server may send all of them instead. */
    HttpResponse<InputStream> open(RepoId repo, String commit, String path, long start) {
        return send("GET", address(repo, commit, path), start > 0 ? Map.of("Range", "bytes=" + start + "-") : Map.of(), repo,
                path);
    }

    private URI address(RepoId repo, String commit, String path) {
        return URI.create(settings.endpoint() + "/" + repo + "/resolve/" + commit + "/" + encoded(path, "/"));
    }

    private static String encoded(String path, String slash) {
        return Arrays.stream(path.split("/"))
                .map(part -> URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20"))
                .collect(Collectors.joining(slash));
    }

    static OptionalLong number(Optional<String> header) {
        return header.filter(text -> text.strip().matches("[0-9]{1,18}")).map(text -> OptionalLong.of(Long.parseLong(text.strip())))
                .orElse(OptionalLong.empty());
    }

    private HttpResponse<InputStream> send(String method, URI start, Map<String, String> headers, RepoId repo, String what) {
        URI uri = start;
        for (int hop = 0; hop <= MOST_REDIRECTS; hop++) {
            HttpRequest.Builder request = HttpRequest.newBuilder(uri).method(method, HttpRequest.BodyPublishers.noBody())
                    .timeout(PATIENCE).header("User-Agent", "jotune").header("Accept-Encoding", "identity");
            headers.forEach(request::header);
            if (isHub(uri)) {
                settings.token().ifPresent(token -> request.header("Authorization", "Bearer " + token));
            }
            HttpResponse<InputStream> response = exchange(request.build());
            int status = response.statusCode();
            Optional<String> location = response.headers().firstValue("Location");
            if (status / 100 != 3 || status == 304 || location.isEmpty()) {
                return checked(response, repo, what);
            }
            URI next = next(uri, location.get());
            if (method.equals("HEAD") && (!isHub(next) || response.headers().firstValue("X-Linked-Etag").isPresent())) {
                return response; // Where the bytes are; what they are, this answer says.
            }
            close(response);
            uri = next;
        }
        throw new HubException("The server redirects " + start + " more than " + MOST_REDIRECTS + " times. Check HF_ENDPOINT.");
    }

    private static URI next(URI from, String location) {
        URI next;
        try {
            next = from.resolve(location);
        } catch (IllegalArgumentException e) {
            throw new HubException("The server redirects " + from + " to '" + location + "', which is no address. Check "
                    + "HF_ENDPOINT.");
        }
        boolean known = "https".equals(next.getScheme()) || "http".equals(next.getScheme()) && "http".equals(from.getScheme());
        if (!known || next.getHost() == null) {
            throw new HubException("The server redirects " + from + " to " + next + ", which is not encrypted or not reachable "
                    + "over HTTPS. Check HF_ENDPOINT.");
        }
        return next;
    }

    private boolean isHub(URI uri) {
        URI hub = settings.endpoint();
        return hub.getScheme().equals(uri.getScheme()) && hub.getHost().equalsIgnoreCase(uri.getHost()) && hub.getPort() == uri.getPort();
    }

    private HttpResponse<InputStream> exchange(HttpRequest request) {
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofInputStream());
        } catch (IOException e) {
            throw lost(request.uri(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new HubException("The pull was interrupted. Run it again; what was fetched is kept.", e, false);
        }
    }

    static HubException lost(URI uri, IOException e) {
        return new HubException("The connection to " + uri.getHost() + " failed (" + (e.getMessage() == null
                ? e.getClass().getSimpleName() : e.getMessage()) + "). Check the network and HF_ENDPOINT; what was fetched is kept.",
                e, true);
    }

    private HttpResponse<InputStream> checked(HttpResponse<InputStream> response, RepoId repo, String what) {
        int status = response.statusCode();
        if (status == 200 || status == 206 || status == 416) {
            return response;
        }
        close(response);
        String code = response.headers().firstValue("X-Error-Code").orElse("");
        String site = settings.endpoint() + "/" + repo;
        String token = settings.token().isPresent() ? "check that your token (HF_TOKEN) may read it"
                : "set HF_TOKEN to a token that may read it";
        throw switch (status) {
            case 401 -> new HubException(code.equals("GatedRepo") ? gated(repo, site, token)
                    : "The hub has no model '" + repo + "' that you may see (401). Check the name; if the model is private, " + token + ".");
            case 403 -> new HubException(code.equals("GatedRepo") ? gated(repo, site, token)
                    : "The hub refuses " + what + " of '" + repo + "' (403). If you should have access, " + token + ".");
            case 404 -> new HubException(switch (code) {
                case "RevisionNotFound" -> "The model '" + repo + "' has no " + what + " (404). Look at " + site + "/tree/main.";
                case "EntryNotFound" -> "The model '" + repo + "' has no file " + what + " (404). Look at " + site + "/tree/main.";
                default -> "The hub has no model '" + repo + "', or no " + what + " in it (404). Check the name at " + site + ".";
            });
            case 429 -> HubException.busy("The hub has had too many requests from you (429). Wait some minutes; a token "
                    + "(HF_TOKEN) allows more.", wanted(response));
            default -> status >= 500 || status == 408
                    ? HubException.busy("The hub cannot answer for " + what + " of '" + repo + "' just now (" + status
                            + "). Try again later.", wanted(response))
                    : new HubException("The hub answers " + status + " for " + what + " of '" + repo + "'. Check HF_ENDPOINT.");
        };
    }

    /** What {@code Retry-After} says: seconds, or a date. */
    private static Optional<Duration> wanted(HttpResponse<?> response) {
        Optional<String> header = response.headers().firstValue("Retry-After").map(String::strip);
        OptionalLong seconds = number(header);
        if (seconds.isPresent()) {
            return Optional.of(Duration.ofSeconds(Math.min(seconds.getAsLong(), LONGEST_WAIT_SECONDS)));
        }
        try {
            return header.map(text -> Duration.between(Instant.now(),
                    DateTimeFormatter.RFC_1123_DATE_TIME.parse(text, Instant::from))).filter(wait -> !wait.isNegative());
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }

    private static String gated(RepoId repo, String site, String token) {
        return "The model '" + repo + "' is gated: its makers ask you to accept their terms first. Do so at " + site + ", then "
                + token + ".";
    }

    static void close(HttpResponse<InputStream> response) {
        try {
            response.body().close();
        } catch (IOException e) {
            // Nothing of it was wanted.
        }
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
