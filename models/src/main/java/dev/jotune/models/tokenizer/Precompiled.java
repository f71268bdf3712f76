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

    private final int[] units;
    private final byte[] replacements;

    private Precompiled(int[] units, byte[] replacements) {
        this.units = units;
        this.replacements = replacements;
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
        String string = text.toString();
        Matcher clusters = CLUSTER.matcher(string);
        List<Change> changes = new ArrayList<>(text.length());
        int at = 0;
        while (clusters.find()) {
            int end = at + string.codePointCount(clusters.start(), clusters.end());
            boolean replaced = false;
            if (end - at <= LONGEST_CLUSTER) {
                byte[] cluster = clusters.group().getBytes(StandardCharsets.UTF_8);
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
        return text.transformed(changes);
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
