package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFilesTest {

    private static final AtomicFiles.Content FULL_DISK = channel -> {
        AtomicFiles.Content.text("half of it").writeTo(channel);
        throw new IOException("No space left on device");
    };

    @TempDir
    Path folder;

    @Test
    void writesIntoNewFoldersAndOverOldFiles() throws IOException {
        Path file = folder.resolve("a/b/c.txt");
        AtomicFiles.writeString(file, "one");
        AtomicFiles.write(file, AtomicFiles.Content.stream(out -> {
            out.write("two".getBytes(StandardCharsets.UTF_8));
            out.close();
        }));
        assertThat(file).hasContent("two");
        assertThat(names(file.getParent())).containsExactly("c.txt");
    }

    @Test
    void aFullDiskKeepsTheOldFileAndSaysWhatToDo() throws IOException {
        Path file = folder.resolve("a.bin");
        AtomicFiles.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFiles.write(file, FULL_DISK)).isInstanceOf(IOException.class)
                .hasMessageContaining(file.toString()).hasMessageContaining("after 10 bytes")
                .hasMessageContaining("No space left on device").hasMessageContaining("free space");
        assertThat(file).hasContent("old");
        assertThat(names(folder)).containsExactly("a.bin");
    }

    @Test
    void anyOtherFailureKeepsTheOldFileToo() throws IOException {
        Path file = folder.resolve("a.bin");
        AtomicFiles.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFiles.write(file, channel -> {
            throw new IllegalStateException("of the caller");
        })).isInstanceOf(IllegalStateException.class).hasMessage("of the caller");
        assertThat(file).hasContent("old");
        assertThat(names(folder)).containsExactly("a.bin");
    }

    @Test
    void aFolderIsNoTarget() {
        assertThatThrownBy(() -> AtomicFiles.writeString(folder, "x")).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(folder.toString());
    }

    @Test
    void aSetIsWrittenAndLeavesOtherFilesAlone() throws IOException {
        Files.writeString(folder.resolve("README.md"), "mine");
        AtomicFiles.writeAll(folder, set("weights", "1", "config", "2"));
        AtomicFiles.writeAll(folder, set("weights", "3", "config", "4"));
        assertThat(names(folder)).containsExactly("README.md", "config", "weights");
        assertThat(folder.resolve("weights")).hasContent("3");
        assertThat(folder.resolve("config")).hasContent("4");
    }

    @Test
    void aSetThatFailsHalfwayKeepsTheWholeOldSet() throws IOException {
        AtomicFiles.writeAll(folder, set("weights", "old", "config", "old"));
        SequencedMap<String, AtomicFiles.Content> broken = set("weights", "new");
        broken.put("config", FULL_DISK);
        assertThatThrownBy(() -> AtomicFiles.writeAll(folder, broken)).isInstanceOf(IOException.class)
                .hasMessageContaining(folder.resolve("config").toString());
        assertThat(names(folder)).containsExactly("config", "weights");
        assertThat(folder.resolve("weights")).hasContent("old");
        assertThat(folder.resolve("config")).hasContent("old");
    }

    @Test
    void aFolderInTheWayOfASetIsSeenBeforeAnythingChanges() throws IOException {
        AtomicFiles.writeAll(folder, set("weights", "old"));
        Files.createDirectory(folder.resolve("config"));
        assertThatThrownBy(() -> AtomicFiles.writeAll(folder, set("weights", "new", "config", "new")))
                .isInstanceOf(IOException.class).hasMessageContaining("is a folder");
        assertThat(folder.resolve("weights")).hasContent("old");
        assertThat(names(folder)).containsExactly("config", "weights");
    }

    /** After the journal is in place, a crash between any two moves is completed. */
    @Test
    void recoveryCompletesACommittedSetFromAnyMoment() throws IOException {
        for (int alreadyMoved = 0; alreadyMoved <= 2; alreadyMoved++) {
            AtomicFiles.writeAll(folder, set("weights", "old", "config", "old"));
            SequencedMap<String, String> moves = new LinkedHashMap<>();
            for (String name : List.of("weights", "config")) {
                Path temporary = TemporaryFiles.nameFor(folder.resolve(name));
                moves.put(temporary.getFileName().toString(), name);
                Files.writeString(moves.size() <= alreadyMoved ? folder.resolve(name) : temporary, "new");
            }
            Files.writeString(folder.resolve(CommitJournal.NAME), CommitJournal.encode(moves));
            AtomicFiles.recover(folder);
            assertThat(names(folder)).containsExactly("config", "weights");
            assertThat(folder.resolve("weights")).hasContent("new");
            assertThat(folder.resolve("config")).hasContent("new");
        }
    }

    /** An unfinished set must not come back over what is written after it. */
    @Test
    void aLaterWriteIsNotUndoneByAnOlderJournal() throws IOException {
        Path temporary = TemporaryFiles.nameFor(folder.resolve("config"));
        Files.writeString(temporary, "unfinished");
        SequencedMap<String, String> moves = new LinkedHashMap<>();
        moves.put(temporary.getFileName().toString(), "config");
        Files.writeString(folder.resolve(CommitJournal.NAME), CommitJournal.encode(moves));
        AtomicFiles.writeString(folder.resolve("config"), "later");
        AtomicFiles.recover(folder);
        assertThat(folder.resolve("config")).hasContent("later");
    }

    @Test
    void aDamagedOrHostileJournalMovesNothing() throws IOException {
        Files.writeString(folder.resolve("secret"), "kept");
        String temporary = TemporaryFiles.nameFor(folder.resolve("x")).getFileName().toString();
        for (String journal : new String[] {"", "rubbish\n", "jotune commit 1\nonly-one\n",
            "jotune commit 1\nsecret\nconfig\n", "jotune commit 1\n" + temporary + "\n../config\n",
            "jotune commit 1\n../" + temporary + "\nconfig\n", "jotune commit 1\n" + temporary + "\n/etc/x\n"}) {
            Files.writeString(folder.resolve(CommitJournal.NAME), journal);
            assertThatThrownBy(() -> AtomicFiles.recover(folder)).as(journal).isInstanceOf(FormatException.class)
                    .hasMessageContaining(CommitJournal.NAME);
            assertThat(folder.resolve("secret")).hasContent("kept");
        }
    }

    @Test
    void namesThatLeaveTheFolderAreRefused() {
        for (String name : new String[] {"", "..", "a/b", "a\\b", "a\nb", CommitJournal.NAME}) {
            assertThatThrownBy(() -> AtomicFiles.writeAll(folder, set(name, "x"))).as(name)
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void whatAKilledProcessLeftIsSweptButNotWhatALivingOneWrites() throws IOException {
        Path dead = folder.resolve(".a.bin.999999999-1-0123456789abcdef.tmp");
        Path living = TemporaryFiles.nameFor(folder.resolve("b.bin"));
        Path foreign = folder.resolve(".mine.tmp");
        for (Path file : List.of(dead, living, foreign)) {
            Files.writeString(file, "x");
        }
        AtomicFiles.writeString(folder.resolve("c.bin"), "c");
        assertThat(dead).doesNotExist();
        assertThat(living).exists();
        assertThat(foreign).exists();
    }

    static SequencedMap<String, AtomicFiles.Content> set(String... namesAndTexts) {
        SequencedMap<String, AtomicFiles.Content> set = new LinkedHashMap<>();
        for (int i = 0; i < namesAndTexts.length; i += 2) {
            set.put(namesAndTexts[i], AtomicFiles.Content.text(namesAndTexts[i + 1]));
        }
        return set;
    }

    static List<String> names(Path folder) throws IOException {
        try (Stream<Path> list = Files.list(folder)) {
            return list.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }
}
