package dev.jotune.models.tokenizer;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A Unicode normalization form (Unicode Standard Annex 15).
 *
 * <p>Java gives the normalised text but not where its characters came from. That is found out by decomposing the old
 * characters one at a time, and matching what they give with the new text, decomposed too. Characters that the format's
 * reference does not know yet part the text: they stay as they are.
 */
record UnicodeForm(java.text.Normalizer.Form form) implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        int first = 0;
        while (first < text.length() && text.codePoint(first) < 0x80) {
            first++;
        }
        if (first == text.length() || java.text.Normalizer.isNormalized(text.toString(), form)) {
            return text;
        }
        List<Change> changes = new ArrayList<>(text.length());
        for (int i = 0; i < text.length(); ) {
            if (!Characters.isNormalized(text.codePoint(i))) {
                changes.add(new Change(text.codePoint(i++), 0));
                continue;
            }
            int start = i;
            while (i < text.length() && Characters.isNormalized(text.codePoint(i))) {
                i++;
            }
            changes.addAll(changes(text.slice(start, i), text.substring(start, i)));
        }
        return text.transformed(changes);
    }

    private List<Change> changes(NormalizedText text, String old) {
        java.text.Normalizer.Form apart = switch (form) {
            case NFC, NFD -> java.text.Normalizer.Form.NFD;
            case NFKC, NFKD -> java.text.Normalizer.Form.NFKD;
        };
        List<Change> parts = new ArrayList<>(text.length());
        for (int i = 0; i < text.length(); i++) {
            int[] decomposed = decompose(text.codePoint(i), apart);
            for (int k = 0; k < decomposed.length; k++) {
                parts.add(new Change(decomposed[k], k == 0 ? 0 : 1));
            }
        }
        List<Change> ordered = gather(java.text.Normalizer.normalize(old, apart), parts, false);
        return form == apart ? ordered : gather(java.text.Normalizer.normalize(old, form), ordered, true);
    }

    /**
     * The characters of {@code text}, each made of {@code parts}. Composing takes one from the sum of the changes
     * for each part after the first. Parts are taken in order, except within a stretch where the two orders differ.
     */
    private static List<Change> gather(String text, List<Change> parts, boolean composed) {
        List<Change> result = new ArrayList<>(parts.size());
        Map<Integer, Deque<Change>> open = new HashMap<>();
        int held = 0;
        int next = 0;
        for (int c : text.codePoints().toArray()) {
            int[] wanted = composed ? decompose(c, java.text.Normalizer.Form.NFD) : new int[] {c};
            int change = 1 - wanted.length;
            for (int part : wanted) {
                Deque<Change> waiting = held == 0 ? null : open.get(part);
                while ((waiting == null || waiting.isEmpty()) && parts.get(next).codePoint() != part) {
                    open.computeIfAbsent(parts.get(next).codePoint(), _ -> new ArrayDeque<>()).add(parts.get(next));
                    next++;
                    held++;
                }
                if (waiting == null || waiting.isEmpty()) {
                    change += parts.get(next++).change();
                } else {
                    change += waiting.remove().change();
                    held--;
                }
            }
            result.add(new Change(c, change));
        }
        return result;
    }

    private static int[] decompose(int codePoint, java.text.Normalizer.Form apart) {
        return codePoint < 0x80 ? new int[] {codePoint}
                : java.text.Normalizer.normalize(Character.toString(codePoint), apart).codePoints().toArray();
    }
}
