package dev.jotune.models.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Fetches files into blobs.
 *
 * <p>A blob is fetched into {@code ETAG.incomplete} under a lock, checked, and given its name in one step; so a name in
 * {@code blobs} always means the whole content, whoever else writes there.
 */
final class Download {

    private static final int BUFFER = 1 << 16;
    private static final long STALL_MILLIS = 60_000;
    private static final Pattern RANGE = Pattern.compile("bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\\*)");
    /** Locks of files bind processes, not threads. */
    private static final Map<Path, ReentrantLock> HELD = new ConcurrentHashMap<>();

    private final HubClient client;
    private final HubCache cache;
    private final RepoId repo;
    private final String commit;
    private final Retry retry;
    private final PullListener listener;

    Download(HubClient client, HubCache cache, RepoId repo, String commit, Retry retry, PullListener listener) {
        this.client = client;
        this.cache = cache;
        this.repo = repo;
        this.commit = commit;
        this.retry = retry;
        this.listener = listener;
    }

    /** Fetches a file unless it is there, and links it into the snapshot. */
    void fetch(HubClient.FileInfo file) {
        Path blob = cache.blob(repo, file.etag());
        try {
            boolean fetched = false;
            if (!Files.exists(blob)) {
                fetched = underLock(file, blob);
            }
            if (!fetched) {
                listener.onBytes(file.size().orElse(0));
            }
            cache.link(repo, commit, file.path(), file.etag());
            listener.onFile(file.path(), fetched);
        } catch (IOException e) {
            throw disk(blob, e);
        }
    }

    private boolean underLock(HubClient.FileInfo file, Path blob) throws IOException {
        Path lock = cache.lock(repo, file.etag()).toAbsolutePath();
        Files.createDirectories(blob.getParent());
        Files.createDirectories(lock.getParent());
        ReentrantLock held = HELD.computeIfAbsent(lock, _ -> new ReentrantLock());
        held.lock();
        try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                var _ = channel.lock()) {
            if (Files.exists(blob)) {
                return false; // Another process was faster.
            }
            Path part = blob.resolveSibling(blob.getFileName() + ".incomplete");
            listener.onBytes(Files.exists(part) ? Files.size(part) : 0);
            complete(file, part);
            Files.move(part, blob, StandardCopyOption.ATOMIC_MOVE);
            return true;
        } finally {
            held.unlock();
        }
    }

    /** Adds to {@code part} until it is whole and its checksum is right. */
    private void complete(HubClient.FileInfo file, Path part) {
        boolean[] again = {false};
        while (true) {
            // As long as bytes arrive, a broken connection is no reason to give up.
            long[] reached = {-1};
            retryWhileGrowing(file, part, reached);
            try {
                if (isRight(file, part)) {
                    return;
                }
                listener.onBytes(-Files.size(part));
                Files.delete(part);
            } catch (IOException e) {
                throw disk(part, e);
            }
            if (again[0]) {
                throw new HubException("The checksum of " + file.path() + " of '" + repo + "' is wrong, twice. The file on the "
                        + "server or on the way is damaged: try again later, or over another network.");
            }
            listener.onNote("The checksum of " + file.path() + " is wrong. Fetching it anew.");
            again[0] = true;
        }
    }

    private void retryWhileGrowing(HubClient.FileInfo file, Path part, long[] reached) {
        while (true) {
            try {
                retry.run(() -> {
                    long before = size(part);
                    try {
                        append(file, part);
                        return null;
                    } catch (HubException e) {
                        if (e.passing() && size(part) > Math.max(before, reached[0])) {
                            reached[0] = size(part);
                            throw new Grew(e);
                        }
                        throw e;
                    }
                }, listener);
                return;
            } catch (Grew e) {
                listener.onNote(e.getMessage() + " Going on at " + reached[0] + " bytes.");
            }
        }
    }

    /** A connection that broke after it brought something. */
    private static final class Grew extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Grew(HubException cause) {
            super(cause.getMessage(), cause);
        }
    }

    private static long size(Path file) {
        try {
            return Files.exists(file) ? Files.size(file) : 0;
        } catch (IOException e) {
            throw disk(file, e);
        }
    }

    private void append(HubClient.FileInfo file, Path part) {
        long have = size(part);
        long whole = file.size().orElse(-1);
        if (whole >= 0 && have > whole) {
            discard(part, have);
            have = 0;
        }
        if (have == whole && have > 0) {
            return;
        }
        requireRoom(file, part, have);
        HttpResponse<InputStream> response = client.open(repo, commit, file.path(), have);
        Matcher range = RANGE.matcher(response.headers().firstValue("Content-Range").orElse(""));
        boolean goesOn = response.statusCode() == 206 && range.matches() && Long.parseLong(range.group(1)) == have
                && (whole < 0 || range.group(2).equals("*") || Long.parseLong(range.group(2)) == whole);
        if (response.statusCode() != 200 && !goesOn) {
            // What is there is no beginning of what the server has.
            HubClient.close(response);
            discard(part, have);
            throw new HubException("The server cannot go on with " + file.path() + " of '" + repo + "' at byte " + have
                    + ". Try again.", null, have > 0);
        }
        if (response.statusCode() == 200 && have > 0) {
            discard(part, have);
            have = 0;
        }
        if (!response.headers().firstValue("Content-Encoding").orElse("identity").equals("identity")) {
            HubClient.close(response);
            throw new HubException("The server sends " + file.path() + " of '" + repo + "' compressed, though it was asked not to. "
                    + "Check HF_ENDPOINT, and whether a proxy answers instead of the hub.");
        }
        OptionalLong length = HubClient.number(response.headers().firstValue("Content-Length"));
        long wanted = whole >= 0 ? whole : length.isPresent() ? have + length.getAsLong() : -1;
        long got = copy(response, part, have, wanted);
        if (wanted >= 0 && got < wanted) {
            throw HubClient.lost(response.uri(), new IOException("it ended after " + got + " of " + wanted + " bytes"));
        }
    }

    /** Writes what arrives behind what is there, up to {@code wanted} bytes in all. */
    private long copy(HttpResponse<InputStream> response, Path part, long have, long wanted) {
        long[] at = {have};
        byte[] buffer = new byte[BUFFER];
        try (Watchdog dog = new Watchdog(response.body(), STALL_MILLIS); InputStream body = response.body();
                FileChannel out = openForAppend(part)) {
            while (true) {
                int count;
                try {
                    count = body.read(buffer);
                } catch (IOException e) {
                    throw HubClient.lost(response.uri(), dog.bitten() ? new IOException("nothing came for a minute") : e);
                }
                if (count < 0) {
                    return at[0];
                }
                dog.calm();
                if (wanted >= 0 && at[0] + count > wanted) {
                    throw new HubException("The server sends more than the " + wanted + " bytes that it promised for "
                            + part.getFileName() + ". Check HF_ENDPOINT.");
                }
                write(out, ByteBuffer.wrap(buffer, 0, count), part);
                at[0] += count;
                listener.onBytes(count);
            }
        } catch (IOException e) {
            throw HubClient.lost(response.uri(), e);
        }
    }

    private static FileChannel openForAppend(Path part) {
        try {
            return FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw disk(part, e);
        }
    }

    private static void write(FileChannel out, ByteBuffer bytes, Path part) {
        try {
            while (bytes.hasRemaining()) {
                out.write(bytes);
            }
        } catch (IOException e) {
            throw disk(part, e);
        }
    }

    static HubException disk(Path path, IOException e) {
        return new HubException(path + " cannot be written (" + e.getClass().getSimpleName() + ": " + e.getMessage()
                + "). Check the disk and the folder's permissions, or set HF_HUB_CACHE to another; what was fetched is kept.", e, false);
    }

    private void discard(Path part, long have) {
        try {
            Files.deleteIfExists(part);
        } catch (IOException e) {
            throw disk(part, e);
        }
        listener.onBytes(-have);
    }

    private static void requireRoom(HubClient.FileInfo file, Path part, long have) {
        try {
            long room = Files.getFileStore(part.getParent()).getUsableSpace();
            long needed = file.size().orElse(0) - have;
            if (needed > room) {
                throw new HubException(file.path() + " needs " + needed + " more bytes, but the disk of " + part.getParent()
                        + " has " + room + ". Make room, or set HF_HUB_CACHE to another disk.");
            }
        } catch (IOException e) {
            throw disk(part, e);
        }
    }

    /** Whether the content has the checksum that the ETag is, if it is one: SHA-256, or the SHA-1 of a git blob. */
    private static boolean isRight(HubClient.FileInfo file, Path part) {
        String etag = file.etag();
        boolean sha256 = etag.matches("[0-9a-f]{64}");
        boolean git = etag.matches("[0-9a-f]{40}");
        if (!Files.exists(part)) {
            create(part);
        }
        if (file.size().isPresent() && file.size().getAsLong() != size(part)) {
            return false;
        }
        if (!sha256 && !git) {
            return true;
        }
        try (InputStream in = Files.newInputStream(part)) {
            MessageDigest digest = MessageDigest.getInstance(sha256 ? "SHA-256" : "SHA-1");
            if (git) {
                digest.update(("blob " + size(part) + "\0").getBytes(StandardCharsets.US_ASCII));
            }
            byte[] buffer = new byte[BUFFER];
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
            }
            return HexFormat.of().formatHex(digest.digest()).equals(etag);
        } catch (IOException e) {
            throw disk(part, e);
        } catch (NoSuchAlgorithmException e) {
            throw new UncheckedIOException(new IOException(e)); // Every Java has both.
        }
    }

    private static void create(Path part) {
        try {
            Files.createFile(part);
        } catch (IOException e) {
            throw disk(part, e);
        }
    }
}
