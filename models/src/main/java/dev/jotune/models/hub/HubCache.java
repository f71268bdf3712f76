package dev.jotune.models.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The folder in which models from the hub are kept, laid out as the hub's own client does, so that both share it:
 *
 * <pre>
 * models--OWNER--NAME/blobs/ETAG                      contents, one file each
 * models--OWNER--NAME/refs/main                       the commit that a branch or tag means
 * models--OWNER--NAME/snapshots/COMMIT/config.json    a link into blobs
 * .locks/models--OWNER--NAME/ETAG.lock                held while a blob is fetched
 * </pre>
 */
public final class HubCache {

    static final String MAIN = "main";
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");
    private static final Pattern BLOB = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}");

    private final Path root;

    public HubCache(Path root) {
        this.root = root;
    }

    /** The folder with the files of a model, if it was fetched. */
    public Optional<Path> find(RepoId repo) {
        return find(repo, MAIN);
    }

    /**
     * The folder with the files of a model at a branch, a tag or a commit (40 hexadecimal digits), if it was fetched.
     *
     * @throws HubException if the revision can be no revision, or the cache cannot be read
     */
    public Optional<Path> find(RepoId repo, String revision) {
        requirePath(revision, "the revision");
        String commit = revision;
        if (!isCommit(revision)) {
            Path reference = folder(repo).resolve("refs").resolve(revision);
            if (!Files.isRegularFile(reference)) {
                return Optional.empty();
            }
            try {
                commit = Files.readString(reference).strip();
            } catch (IOException e) {
                throw new HubException(reference + " cannot be read (" + e.getMessage() + "). Check its permissions.", e, false);
            }
            if (!isCommit(commit)) {
                return Optional.empty();
            }
        }
        Path snapshot = snapshot(repo, commit);
        return Files.isDirectory(snapshot) ? Optional.of(snapshot) : Optional.empty();
    }

    static boolean isCommit(String text) {
        return COMMIT.matcher(text).matches();
    }

    Path root() {
        return root;
    }

    Path folder(RepoId repo) {
        return root.resolve(repo.folder());
    }

    Path snapshot(RepoId repo, String commit) {
        return folder(repo).resolve("snapshots").resolve(commit);
    }

    Path blob(RepoId repo, String etag) {
        return folder(repo).resolve("blobs").resolve(requireBlob(etag));
    }

    Path lock(RepoId repo, String etag) {
        return root.resolve(".locks").resolve(repo.folder()).resolve(requireBlob(etag) + ".lock");
    }

    private static String requireBlob(String etag) {
        if (!BLOB.matcher(etag).matches() || etag.endsWith(".incomplete")) {
            throw new HubException("The server gives a file the ETag '" + etag + "', which cannot name a file. "
                    + "Check HF_ENDPOINT.");
        }
        return etag;
    }

    /**
     * A path that stays below the folder it is resolved against: relative, with forward slashes, without {@code ..} and
     * without what some system reads as a drive, a device or a command.
     */
    static String requirePath(String path, String what) {
        boolean good = !path.isEmpty() && path.length() <= 1000 && !path.startsWith("/")
                && path.chars().noneMatch(c -> c < ' ' || c == 0x7F || c == '\\' || c == ':');
        for (String part : path.split("/", -1)) {
            good &= !part.isEmpty() && !part.equals(".") && !part.equals("..") && part.length() <= 255;
        }
        if (!good) {
            throw new HubException("The name '" + path + "' of " + what + " leads out of its folder or cannot be written. "
                    + "Do not use this model.");
        }
        return path;
    }

    /** Notes the commit that a branch or tag stands for. */
    void writeReference(RepoId repo, String revision, String commit) throws IOException {
        if (isCommit(revision)) {
            return;
        }
        Path references = folder(repo).resolve("refs");
        Path file = references.resolve(requirePath(revision, "the revision"));
        requireNoLinks(references, file.getParent());
        Files.createDirectories(file.getParent());
        Path fresh = Files.createTempFile(file.getParent(), ".ref", null);
        Files.writeString(fresh, commit);
        Files.move(fresh, file, java.nio.file.StandardCopyOption.REPLACE_EXISTING, java.nio.file.StandardCopyOption.ATOMIC_MOVE);
    }

    /** Lets {@code path} in a snapshot stand for a blob. */
    void link(RepoId repo, String commit, String path, String etag) throws IOException {
        Path snapshot = snapshot(repo, commit);
        Path pointer = snapshot.resolve(requirePath(path, "a file"));
        Path blob = blob(repo, etag);
        requireNoLinks(snapshot, pointer.getParent());
        Files.createDirectories(pointer.getParent());
        Path target = pointer.getParent().toAbsolutePath().normalize().relativize(blob.toAbsolutePath().normalize());
        if (Files.isSymbolicLink(pointer) && Files.readSymbolicLink(pointer).equals(target)) {
            return;
        }
        Path fresh = pointer.resolveSibling("." + pointer.getFileName() + "." + ProcessHandle.current().pid() + ".link");
        Files.deleteIfExists(fresh);
        try {
            Files.createSymbolicLink(fresh, target);
        } catch (UnsupportedOperationException | java.nio.file.FileSystemException e) {
            // A disk without links gets a copy, as from the hub's own client.
            Files.copy(blob, fresh, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        }
        Files.move(fresh, pointer, java.nio.file.StandardCopyOption.REPLACE_EXISTING,
                java.nio.file.StandardCopyOption.ATOMIC_MOVE);
    }

    /** Refuses folders that are links: through them a file would be written elsewhere. */
    private static void requireNoLinks(Path root, Path folder) {
        for (Path at = folder; at != null && at.startsWith(root); at = at.getParent()) {
            if (Files.isSymbolicLink(at) || Files.exists(at, LinkOption.NOFOLLOW_LINKS) && !Files.isDirectory(at)) {
                throw new HubException(at + " is not a folder of the cache but a link or a file. Remove it and pull again.");
            }
        }
    }
}
