package dev.jotune.models.hub;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Fetches models from the hub into the cache.
 *
 * <p>A file that was fetched in part goes on where it stopped; every file is checked against the checksum that the server
 * gives. A pull that fails or is killed leaves whole files and resumable parts, and can be run again.
 */
public final class Hub {

    private static final int AT_ONCE = 4;
    private static final String CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"
            + "# This folder is a cache of files that can be fetched again; programs that make backups may leave it out.\n"
            + "# See https://bford.info/cachedir/\n";

    private final HubSettings settings;
    private final HubCache cache;
    private final Retry retry;

    public Hub(HubSettings settings) {
        this(settings, Retry.USUAL);
    }

    Hub(HubSettings settings, Retry retry) {
        this.settings = settings;
        this.cache = new HubCache(settings.cache());
        this.retry = retry;
    }

    /**
     * Fetches what is not in the cache yet.
     *
     * @param revision a branch, a tag or a commit
     * @return the folder with the files, fit for {@code Models.load}
     * @throws HubException saying what went wrong with which file
     */
    public Path pull(RepoId repo, String revision, Selection selection, PullListener listener) {
        HubCache.requirePath(revision, "the revision");
        PullListener heard = new Together(listener);
        try (HubClient client = new HubClient(settings)) {
            HubClient.Listing listing = retry.run(() -> client.list(repo, revision), heard);
            List<String> paths = selection.of(listing.paths());
            if (paths.isEmpty()) {
                throw new HubException("The model '" + repo + "' has none of the files wanted; it has " + some(listing.paths())
                        + ". Name others with --include.");
            }
            prepare();
            List<HubClient.FileInfo> files = inParallel(paths, path ->
                    retry.run(() -> client.info(repo, listing.commit(), path), heard));
            heard.onStart(files.size(), files.stream().mapToLong(file -> file.size().orElse(0)).sum());
            Download download = new Download(client, cache, repo, listing.commit(), retry, heard);
            inParallel(files, file -> {
                download.fetch(file);
                return file;
            });
            cache.writeReference(repo, revision, listing.commit());
            return cache.snapshot(repo, listing.commit());
        } catch (IOException e) {
            throw Download.disk(settings.cache(), e);
        }
    }

    private static String some(List<String> paths) {
        int shown = Math.min(8, paths.size());
        return String.join(", ", paths.subList(0, shown)) + (shown < paths.size() ? " and " + (paths.size() - shown) + " more" : "");
    }

    private void prepare() {
        Path root = settings.cache();
        try {
            Files.createDirectories(root);
            Path tag = root.resolve("CACHEDIR.TAG");
            if (!Files.exists(tag)) {
                Files.writeString(tag, CACHE_TAG, StandardCharsets.US_ASCII);
            }
        } catch (IOException e) {
            throw new HubException("The cache " + root + " cannot be written (" + e.getClass().getSimpleName() + ": "
                    + e.getMessage() + "). Check the folder's permissions, or set HF_HUB_CACHE to another.", e, false);
        }
    }

    /** Work on one file. */
    private interface Work<T, R> {
        R on(T file);
    }

    private static <T, R> List<R> inParallel(List<T> files, Work<T, R> work) {
        ExecutorService threads = Executors.newFixedThreadPool(Math.clamp(files.size(), 1, AT_ONCE));
        try {
            List<Future<R>> running = new ArrayList<>();
            files.forEach(file -> running.add(threads.submit(() -> work.on(file))));
            List<R> results = new ArrayList<>();
            for (Future<R> future : running) {
                results.add(future.get());
            }
            return results;
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case HubException failed -> throw failed;
                case RuntimeException failed -> throw failed;
                case Error failed -> throw failed;
                default -> throw new HubException("The pull failed (" + e.getCause() + "). Run it again.", e.getCause(), false);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new HubException("The pull was interrupted. Run it again; what was fetched is kept.", e, false);
        } finally {
            threads.shutdownNow();
            // Nobody writes any more when this returns.
            threads.close();
        }
    }

    /** Lets one thread speak at a time. */
    private record Together(PullListener listener) implements PullListener {

        @Override
        public void onStart(int files, long bytes) {
            synchronized (listener) {
                listener.onStart(files, bytes);
            }
        }

        @Override
        public void onBytes(long bytes) {
            synchronized (listener) {
                listener.onBytes(bytes);
            }
        }

        @Override
        public void onFile(String path, boolean fetched) {
            synchronized (listener) {
                listener.onFile(path, fetched);
            }
        }

        @Override
        public void onNote(String note) {
            synchronized (listener) {
                listener.onNote(note);
            }
        }
    }
}
