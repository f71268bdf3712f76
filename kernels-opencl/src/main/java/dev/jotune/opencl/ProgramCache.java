package dev.jotune.opencl;

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
 * Compiled programs on disk, so that a second run compiles nothing. A file is named by a digest of all that the binary depends on:
 * text, options, platform, device and driver. It holds a digest of its content too; a file that does not agree with it counts as
 * absent and is written anew. A folder that cannot be written costs time, never a run.
 *
 * <p>The folder is that of property {@value #FOLDER}, else {@code jotune/opencl} in {@code XDG_CACHE_HOME} or {@code ~/.cache}.
 */
final class ProgramCache {
    static final String FOLDER = "jotune.cache";
    /** False: nothing is read or kept, and drivers are not asked for binaries, which makes some compile everything twice. */
    static final String KEEP = "jotune.opencl.keep";
    private static final byte[] MAGIC = "JOTUNE-CL-1\n".getBytes(StandardCharsets.US_ASCII);
    private static final int DIGEST = 32;

    private final Path folder;

    ProgramCache(Path folder) {
        this.folder = folder;
    }

    /** Where compiled programs and tuned sizes lie unless a property says otherwise. */
    static Path defaultFolder() {
        String chosen = System.getProperty(FOLDER);
        if (chosen != null) {
            return Path.of(chosen, "opencl");
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base = xdg != null && !xdg.isBlank() ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("jotune").resolve("opencl");
    }

    /** The file of a program. */
    Path file(String text, String options, DeviceInfo device) {
        MessageDigest digest = sha256();
        for (String part : new String[] {text, options, device.identity()}) {
            byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
            digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
            digest.update(bytes);
        }
        return folder.resolve(HexFormat.of().formatHex(digest.digest()) + ".bin");
    }

    /** The binary, if there is a whole one. */
    Optional<byte[]> read(Path file) {
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

    /** Whether the properties want programs to be kept at all. */
    static boolean isWanted() {
        return Boolean.parseBoolean(System.getProperty(KEEP, "true"));
    }

    /** Keeps a binary for the next run, if the folder can be written. */
    void write(Path file, byte[] binary) {
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
