package dev.jotune.tensor.io;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Files that are either wholly written or not at all, whatever happens meanwhile: an exception, a full disk,
 * SIGKILL, a power cut. When a method returns, the content is on the disk; until then the old content is.
 *
 * <p>One file goes to a temporary file in the same folder, is forced to the disk, and takes the target's name in
 * one atomic move. A set of files ({@link #writeAll}) cannot be moved in one step, so it is committed by a journal
 * that the next writer, or a reader through {@link #recover}, replays. Two processes may not write to the same
 * folder at the same time.
 */
public final class AtomicFiles {

    private AtomicFiles() {
    }

    /** What goes into a file. */
    @FunctionalInterface
    public interface Content {

        /** Writes everything; the caller forces it to the disk and closes the channel. */
        void writeTo(WritableByteChannel channel) throws IOException;

        /** A text, as UTF-8. */
        static Content text(String text) {
            return bytes(text.getBytes(StandardCharsets.UTF_8));
        }

        static Content bytes(byte[] bytes) {
            return channel -> {
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                while (buffer.hasRemaining()) {
                    channel.write(buffer);
                }
            };
        }

        /** What a method that knows only streams writes. */
        static Content stream(StreamContent writer) {
            return channel -> {
                OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16);
                writer.writeTo(out);
                out.flush();
            };
        }
    }

    /** What goes into a file, for writers that take a stream. */
    @FunctionalInterface
    public interface StreamContent {

        /** Writes everything; closing the stream is allowed but not needed. */
        void writeTo(OutputStream out) throws IOException;
    }

    /**
     * Writes one file, making its folder where it is missing.
     *
     * @throws IOException if it cannot be written; the target is then as it was, and the message says what to do
     */
    public static void write(Path target, Content content) throws IOException {
        Path folder = folderOf(target);
        prepare(folder);
        Path temporary = TemporaryFiles.nameFor(target);
        writeTemporary(temporary, target, content);
        moveOrDelete(temporary, target);
        force(folder);
    }

    /** Writes a text as UTF-8, as {@link #write(Path, Content)} does. */
    public static void writeString(Path target, String text) throws IOException {
        write(target, Content.text(text));
    }

    /**
     * Writes a set of files into a folder so that all of them become visible or none; other files there are left
     * alone. Until the journal is in place a crash leaves the old set; from then on the new set, which is complete
     * on the disk, is put in place by {@link #recover} or the next write. Programs that do not know the journal
     * see a mixture at most in the moment between the moves, which follow the map's order: put the file that makes
     * the others valid, such as a configuration, last.
     *
     * @param files content by plain file name, in the order of the moves
     * @throws IOException              if they cannot be written; the folder then holds the old set
     * @throws IllegalArgumentException if a name is not the name of a file in this folder
     */
    public static void writeAll(Path folder, SequencedMap<String, Content> files) throws IOException {
        files.keySet().forEach(CommitJournal::requirePlainName);
        prepare(folder);
        SequencedMap<String, String> moves = new LinkedHashMap<>();
        try {
            for (Map.Entry<String, Content> file : files.entrySet()) {
                Path target = folder.resolve(file.getKey());
                if (Files.isDirectory(target)) {
                    throw new IOException(target + ": this is a folder, so no file can take its name. "
                            + "Move it away or choose another folder.");
                }
                Path temporary = TemporaryFiles.nameFor(target);
                moves.put(temporary.getFileName().toString(), file.getKey());
                writeTemporary(temporary, target, file.getValue());
            }
            force(folder);
            Path journal = folder.resolve(CommitJournal.NAME);
            Path temporary = TemporaryFiles.nameFor(journal);
            writeTemporary(temporary, journal, Content.text(CommitJournal.encode(moves)));
            moveOrDelete(temporary, journal);
        } catch (IOException | RuntimeException | Error e) {
            moves.keySet().forEach(name -> TemporaryFiles.deleteQuietly(folder.resolve(name), e));
            throw e;
        }
        force(folder);
        recover(folder);
    }

    /**
     * Completes what {@link #writeAll} committed in this folder before it was interrupted. Call it before reading
     * files that belong together; without a journal, or a folder, it does nothing.
     *
     * @throws FormatException if the journal is damaged
     * @throws IOException     if files cannot be moved
     */
    public static void recover(Path folder) throws IOException {
        Path journal = folder.resolve(CommitJournal.NAME);
        if (!Files.exists(journal)) {
            return;
        }
        for (Map.Entry<String, String> move : CommitJournal.read(journal).entrySet()) {
            Path temporary = folder.resolve(move.getKey());
            // Missing: it had already been moved when the crash came.
            if (Files.exists(temporary)) {
                move(temporary, folder.resolve(move.getValue()));
            }
        }
        force(folder);
        Files.deleteIfExists(journal);
        force(folder);
    }

    private static void prepare(Path folder) throws IOException {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new IOException(folder + ": this folder cannot be made (" + reason(e)
                    + "). Choose a place where you may write.", e);
        }
        recover(folder);
        TemporaryFiles.deleteAbandoned(folder);
    }

    private static void writeTemporary(Path temporary, Path target, Content content) throws IOException {
        try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW,
                StandardOpenOption.WRITE)) {
            content.writeTo(channel);
            if (channel.isOpen()) {
                channel.force(true);
            } else {
                // A stream's close went through to the channel.
                force(temporary);
            }
        } catch (IOException e) {
            long written = temporary.toFile().length();
            TemporaryFiles.deleteQuietly(temporary, e);
            throw new IOException(target + ": writing failed after " + written + " bytes (" + reason(e)
                    + "). What was there before is unchanged; free space on that disk, "
                    + "check that you may write there, or choose another folder.", e);
        } catch (RuntimeException | Error e) {
            TemporaryFiles.deleteQuietly(temporary, e);
            throw e;
        }
    }

    private static void moveOrDelete(Path temporary, Path target) throws IOException {
        try {
            move(temporary, target);
        } catch (IOException e) {
            TemporaryFiles.deleteQuietly(temporary, e);
            throw e;
        }
    }

    private static void move(Path temporary, Path target) throws IOException {
        try {
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new IOException(target + ": the new content cannot take this name (" + reason(e)
                    + "). Check that you may write there, then try again.", e);
        }
    }

    /** Forces a file or, where the system can, a folder's list of names to the disk. */
    private static void force(Path path) throws IOException {
        boolean folder = Files.isDirectory(path);
        try (FileChannel channel = FileChannel.open(path,
                folder ? StandardOpenOption.READ : StandardOpenOption.WRITE)) {
            channel.force(true);
        } catch (IOException e) {
            if (!folder || path.getFileSystem().getSeparator().equals("/")) {
                throw e;
            }
            // Windows does not open folders, and keeps their entries in order by itself.
        }
    }

    private static Path folderOf(Path target) {
        Path name = target.getFileName();
        if (name == null || Files.isDirectory(target)) {
            throw new IllegalArgumentException(target + " is a folder, not the name of a file to write. "
                    + "Append a file name.");
        }
        Path parent = target.toAbsolutePath().getParent();
        return parent == null ? target.toAbsolutePath().getRoot() : parent;
    }

    private static String reason(IOException e) {
        return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }
}
