package dev.jotune.tensor.io;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * The list of moves that completes {@link AtomicFiles#writeAll}: a first line that names the format, then for each
 * file a line with its temporary name and a line with its final one. It may come from a stranger's folder, so it
 * can move nothing but temporary files within that folder.
 */
final class CommitJournal {

    static final String NAME = ".jotune-commit";

    private static final String FIRST_LINE = "jotune commit 1";
    private static final long LONGEST = 1 << 20;

    private CommitJournal() {
    }

    static String encode(SequencedMap<String, String> moves) {
        StringBuilder text = new StringBuilder(FIRST_LINE).append('\n');
        moves.forEach((from, to) -> text.append(from).append('\n').append(to).append('\n'));
        return text.toString();
    }

    static SequencedMap<String, String> read(Path journal) throws IOException {
        if (Files.size(journal) > LONGEST) {
            throw damaged(journal, "it has " + Files.size(journal) + " bytes");
        }
        // Never fails on bad UTF-8, which the checks below then refuse as a name.
        List<String> lines = new String(Files.readAllBytes(journal), StandardCharsets.UTF_8).lines().toList();
        if (lines.isEmpty() || !lines.getFirst().equals(FIRST_LINE) || lines.size() % 2 == 0) {
            throw damaged(journal, "it does not begin with '" + FIRST_LINE + "' and pairs of names");
        }
        SequencedMap<String, String> moves = new LinkedHashMap<>();
        for (int i = 1; i < lines.size(); i += 2) {
            String from = lines.get(i);
            String to = lines.get(i + 1);
            if (!isPlainName(from) || !isPlainName(to) || !TemporaryFiles.isName(from)) {
                throw damaged(journal, "it moves " + FormatException.quote(from) + " to "
                        + FormatException.quote(to));
            }
            moves.put(from, to);
        }
        return moves;
    }

    static void requirePlainName(String name) {
        if (!isPlainName(name)) {
            throw new IllegalArgumentException(FormatException.quote(name)
                    + " is not the plain name of a file. Use a name without folders or control characters.");
        }
    }

    /** True for a name that stays within its folder on every system, and within its line in the journal. */
    static boolean isPlainName(String name) {
        return !name.isBlank() && !name.equals(".") && !name.equals("..") && !name.equals(NAME)
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || Character.isISOControl(c)
                        || c == '\u2028' || c == '\u2029') && isName(name);
    }

    /** Not every text is a file's name here: the system's encoding may lack its letters. */
    private static boolean isName(String name) {
        try {
            return Path.of(name).getNameCount() == 1;
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static FormatException damaged(Path journal, String fault) {
        return new FormatException(journal, "the journal of an unfinished write is damaged: " + fault,
                "Save again into another folder, or delete this file to keep the folder's files as they are.");
    }
}
