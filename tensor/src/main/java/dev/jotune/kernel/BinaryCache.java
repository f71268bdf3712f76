package dev.jotune.kernel;

import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;

/**
 * Compiled kernels on disk, so that a second run compiles nothing. A file is named by a digest of all that the binary depends on:
 * text, options, compiler, device. It holds a digest of its content too; a file that does not agree with it counts as absent and is
 * written anew. A folder that cannot be written costs time, never a run.
 *
 * <p>The folders lie in that of property {@value #FOLDER}, else in {@code jotune} in {@code XDG_CACHE_HOME} or {@code ~/.cache}.
 */
public final class BinaryCache {
    /** Where the folders of all kinds of devices lie. */
    public static final String FOLDER = "jotune.cache";

    private static final byte[] MAGIC = "JOTUNE-BIN-1\n".getBytes(StandardCharsets.US_ASCII);
    private static final int DIGEST = 32;

    private final Path folder;

    /** Files of this folder, which need not be there. */
    public BinaryCache(Path folder) {
        this.folder = folder;
    }

    /** Where what is made for a kind of device lies unless a property says otherwise. */
    public static Path defaultFolder(String kind) {
        String chosen = System.getProperty(FOLDER);
        if (chosen != null) {
            return Path.of(chosen, kind);
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base = xdg != null && !xdg.isBlank() ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("jotune").resolve(kind);
    }

    /** The file of a binary, by all that it depends on. */
    public Path file(String... parts) {
        return folder.resolve(digest(parts) + ".bin");
    }

    /** Digits that tell these texts from all others. */
    public static String digest(String... parts) {
        MessageDigest digest = sha256();
        for (String part : parts) {
            byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
            digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
            digest.update(bytes);
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The binary, if there is a whole one. */
    public Optional<byte[]> read(Path file) {
        try {
            byte[] all = Files.readAllBytes(file);
            int head = MAGIC.length + DIGEST;
            if (all.length <= head || !Arrays.equals(all, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
                return Optional.empty();
            }
            byte[] binary = Arrays.copyOfRange(all, head, all.length);
            boolean whole = Arrays.equals(all, MAGIC.length, head, sha256().digest(binary), 0, DIGEST);
            return whole ? Optional.of(binary) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Keeps a binary for the next run, if the folder can be written. */
    public void write(Path file, byte[] binary) {
        try {
            byte[] all = ByteBuffer.allocate(MAGIC.length + DIGEST + binary.length).put(MAGIC).put(sha256().digest(binary)).put(binary).array();
            AtomicFiles.write(file, AtomicFiles.Content.bytes(all));
        } catch (IOException e) {
            // The next run compiles again.
            return;
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JVM has SHA-256", e);
        }
    }
}
