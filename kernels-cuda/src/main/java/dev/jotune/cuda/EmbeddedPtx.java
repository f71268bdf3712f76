package dev.jotune.cuda;

import dev.jotune.kernel.BinaryCache;
import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.GZIPInputStream;

/**
 * Kernels compiled ahead, in the text that the driver's own compiler takes, for machines with a driver and no NVRTC. A file is named by
 * a digest of the text that it was made of, so that one made of an older text is never found. Others on the class path, such as a folder that
 * {@code kernels-cuda/ahead.sh} made, may have more of them, packed or plain.
 */
final class EmbeddedPtx {
    private static final String RECORD = "jotune.cuda.record";
    private static final String PACKED = ".gz";
    private static final int DIGITS = 16;

    private EmbeddedPtx() {}

    /** The resource of a kernel, beside this class. */
    static String name(String text) {
        return "ptx/" + digits(text) + ".ptx" + PACKED;
    }

    private static String digits(String text) {
        return BinaryCache.digest(text).substring(0, DIGITS);
    }

    /**
     * Keeps a text in the folder that property {@value #RECORD} names, if it names one, for {@code kernels-cuda/ahead.sh} to compile.
     *
     * @param chip the least that it runs on
     */
    static void record(String text, CudaSource.Chip chip) {
        String folder = System.getProperty(RECORD);
        if (folder == null) {
            return;
        }
        Path file = Path.of(folder, chip.architecture(), digits(text) + ".cu");
        if (Files.exists(file)) {
            return;
        }
        try {
            AtomicFiles.write(file, AtomicFiles.Content.bytes(text.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) {
            throw new UncheckedIOException("A kernel's text cannot be kept in " + file + ". Name a folder that can be written with -D" + RECORD
                    + ", or none.", e);
        }
    }

    /** Ends with a zero, as the driver wants it. */
    static Optional<byte[]> find(String text) {
        String packed = name(text);
        Optional<byte[]> found = read(packed, GZIPInputStream::new);
        if (found.isEmpty()) {
            found = read(packed.substring(0, packed.length() - PACKED.length()), in -> in);
        }
        return found.map(bytes -> Arrays.copyOf(bytes, bytes.length + 1));
    }

    private interface Unpacking {
        InputStream of(InputStream in) throws IOException;
    }

    private static Optional<byte[]> read(String name, Unpacking unpacking) {
        try (InputStream in = EmbeddedPtx.class.getResourceAsStream(name)) {
            return in == null ? Optional.empty() : Optional.of(unpacking.of(in).readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException("The compiled kernel " + name + " cannot be read.", e);
        }
    }
}
