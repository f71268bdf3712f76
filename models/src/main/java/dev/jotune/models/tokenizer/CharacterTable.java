package dev.jotune.models.tokenizer;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * A set of code points of the Unicode version that the tokenizer format's reference was built with (8.0, some of 13.0),
 * so that characters added to Unicode since are cut as they were when models were trained.
 *
 * <p>Read from {@code characters.txt}; {@code golden/make_character_tables.py} writes it.
 */
final class CharacterTable {

    private static final int CODE_POINTS = Character.MAX_CODE_POINT + 1;

    private final long[] bits = new long[CODE_POINTS / Long.SIZE];

    private CharacterTable() {}

    /** The line of the file that begins with {@code name}. */
    static CharacterTable read(String name) {
        try (InputStream in = CharacterTable.class.getResourceAsStream("characters.txt")) {
            for (String line : new String(in.readAllBytes(), StandardCharsets.US_ASCII).split("\n")) {
                if (line.startsWith(name + " ")) {
                    return parse(line.substring(name.length() + 1));
                }
            }
            throw new IllegalArgumentException("characters.txt has no line '" + name + "'");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static CharacterTable parse(String ranges) {
        CharacterTable table = new CharacterTable();
        for (String range : ranges.split(" ")) {
            int dash = range.indexOf('-');
            int first = Integer.parseInt(dash < 0 ? range : range.substring(0, dash), 16);
            int last = Integer.parseInt(range.substring(dash + 1), 16);
            for (int c = first; c <= last; c++) {
                table.bits[c / Long.SIZE] |= 1L << c;
            }
        }
        return table;
    }

    boolean contains(int codePoint) {
        return (bits[codePoint / Long.SIZE] & 1L << codePoint) != 0;
    }
}
