package dev.jotune.models.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A compiled table of replacements, as SentencePiece writes it: a double-array trie from UTF-8 to places in a list of
 * replacements that each end with a zero byte (https://github.com/google/sentencepiece, src/normalizer.cc).
 */
final class Precompiled implements Normalizer {

    /** Text that one user sees as one character; a short one is looked up whole before its parts are. */
    private static final Pattern CLUSTER = Pattern.compile("\\X");
    private static final int LONGEST_CLUSTER = 5;
    private static final int FIRST_MARK = 0x300;
    /** The one code point without a character that Java takes for an ordinary one. */
    private static final int UNASSIGNED = 0x378;

    private final int[] units;
    private final byte[] replacements;
    /** The ASCII characters that have no replacement. */
    private final boolean[] plain = new boolean[0x80];

    private Precompiled(int[] units, byte[] replacements) {
        this.units = units;
        this.replacements = replacements;
        for (int c = 0; c < plain.length; c++) {
            plain[c] = c != '\r' && find(new byte[] {(byte) c}) < 0;
        }
    }

    static Precompiled read(JsonView view) {
        JsonView field = view.field("precompiled_charsmap");
        byte[] bytes;
        try {
            bytes = Base64.getDecoder().decode(field.text());
        } catch (IllegalArgumentException e) {
            throw field.error("is not base64. Fetch the file again.");
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int size = bytes.length < 4 ? -1 : buffer.getInt();
        if (size < 4 || size % 4 != 0 || size > buffer.remaining()) {
            throw field.error("says its trie has " + size + " bytes, but has " + bytes.length
                    + " in all. Fetch the file again.");
        }
        int[] units = new int[size / 4];
        buffer.asIntBuffer().get(units);
        return new Precompiled(units, Arrays.copyOfRange(bytes, 4 + size, bytes.length));
    }

    @Override
    public NormalizedText normalize(NormalizedText text) {
        int first = 0;
        while (first < text.length() && isPlain(text, first)) {
            first++;
        }
        if (first == text.length()) {
            return text;
        }
        List<Change> changes = new ArrayList<>(text.length());
        for (int i = 0; i < text.length(); ) {
            if (isPlain(text, i)) {
                changes.add(new Change(text.codePoint(i), 0));
                i++;
                continue;
            }
            // Where two characters below the first combining mark meet, a cluster ends (but a line end is one).
            int end = i + 1;
            while (end < text.length()
                    && (text.codePoint(end - 1) >= FIRST_MARK || text.codePoint(end) >= FIRST_MARK || isLineEnd(text, end))) {
                end++;
            }
            replaceClusters(text, i, end, changes);
            i = end;
        }
        return text.transformed(changes);
    }

    /** An ASCII character that stays as it is and is a cluster of its own. */
    private boolean isPlain(NormalizedText text, int index) {
        int c = text.codePoint(index);
        return c < plain.length && plain[c] && (index + 1 == text.length() || text.codePoint(index + 1) < FIRST_MARK);
    }

    private static boolean isLineEnd(NormalizedText text, int index) {
        return text.codePoint(index - 1) == '\r' && text.codePoint(index) == '\n';
    }

    /**
     * The text with other characters for those that Java's expression cuts at and the reference does not: ones that
     * are not assigned, except those set aside for control.
     */
    private static String readable(NormalizedText text, int from, int to) {
        int[] codePoints = new int[to - from];
        for (int i = 0; i < codePoints.length; i++) {
            int c = text.codePoint(from + i);
            boolean control = c == 0x2065 || c >= 0xFFF0 && c <= 0xFFF8 || c >= 0xE0000 && c <= 0xE0FFF;
            codePoints[i] = Character.getType(c) == Character.UNASSIGNED && !control ? UNASSIGNED : c;
        }
        return new String(codePoints, 0, codePoints.length);
    }

    private void replaceClusters(NormalizedText text, int from, int to, List<Change> changes) {
        String clusters = readable(text, from, to);
        Matcher matcher = CLUSTER.matcher(clusters);
        int at = from;
        while (matcher.find()) {
            int end = at + clusters.codePointCount(matcher.start(), matcher.end());
            boolean replaced = false;
            if (end - at <= LONGEST_CLUSTER) {
                byte[] cluster = text.substring(at, end).getBytes(StandardCharsets.UTF_8);
                replaced = cluster.length <= LONGEST_CLUSTER && replace(cluster, end - at, changes);
            }
            for (int i = at; !replaced && i < end; i++) {
                byte[] part = Character.toString(text.codePoint(i)).getBytes(StandardCharsets.UTF_8);
                if (!replace(part, 1, changes)) {
                    changes.add(new Change(text.codePoint(i), 0));
                }
            }
            at = end;
        }
    }

    /** Adds the replacement for {@code count} old characters that read {@code key}, if there is one. */
    private boolean replace(byte[] key, int count, List<Change> changes) {
        int place = find(key);
        if (place < 0) {
            return false;
        }
        int stop = place;
        while (stop < replacements.length && replacements[stop] != 0) {
            stop++;
        }
        if (place > replacements.length) {
            throw new TokenizerException("The table of replacements points beyond its end. Fetch the tokenizer file "
                    + "again.");
        }
        int[] added = new String(replacements, place, stop - place, StandardCharsets.UTF_8).codePoints().toArray();
        for (int k = 0; k < added.length; k++) {
            changes.add(new Change(added[k], k < count ? 0 : 1));
        }
        if (added.length < count && !changes.isEmpty()) {
            // Where nothing comes before, the reference forgets the dropped characters, which shifts what follows.
            Change last = changes.removeLast();
            changes.add(new Change(last.codePoint(), last.change() - (count - added.length)));
        }
        return true;
    }

    /** The value of the shortest beginning of {@code key} that is in the trie, or -1. */
    private int find(byte[] key) {
        int node = offset(units[0]);
        for (byte b : key) {
            int label = b & 0xFF;
            node ^= label;
            if (label == 0 || node < 0 || node >= units.length || (units[node] & 0x800000FF) != label) {
                return -1;
            }
            boolean leaf = (units[node] >>> 8 & 1) == 1;
            node ^= offset(units[node]);
            if (leaf) {
                return node >= 0 && node < units.length ? units[node] & 0x7FFFFFFF : -1;
            }
        }
        return -1;
    }

    private static int offset(int unit) {
        return unit >>> 10 << ((unit & 1 << 9) >>> 6);
    }
}
