package dev.jotune.models.tokenizer;

/** UTF-8 with broken sequences replaced. */
final class Utf8 {

    private Utf8() {}

    /**
     * Decodes bytes, each longest beginning of a character that is broken off giving one U+FFFD (Unicode 16, section
     * 3.9.6). Java's own decoder takes an encoded surrogate for one broken sequence instead of three.
     */
    static String decodeLossy(byte[] bytes, int length) {
        StringBuilder text = new StringBuilder(length);
        int i = 0;
        while (i < length) {
            int first = bytes[i++] & 0xFF;
            if (first < 0x80) {
                text.append((char) first);
                continue;
            }
            int more = first >= 0xC2 && first <= 0xDF ? 1 : first >= 0xE0 && first <= 0xEF ? 2
                    : first >= 0xF0 && first <= 0xF4 ? 3 : 0;
            int codePoint = first & (0x3F >> more);
            // The second byte's range shuts out overlong forms, surrogates and what is beyond U+10FFFF.
            int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
            int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
            int left = more;
            while (left > 0 && i < length && (bytes[i] & 0xFF) >= low && (bytes[i] & 0xFF) <= high) {
                codePoint = codePoint << 6 | bytes[i++] & 0x3F;
                low = 0x80;
                high = 0xBF;
                left--;
            }
            text.appendCodePoint(more == 0 || left > 0 ? 0xFFFD : codePoint);
        }
        return text.toString();
    }
}
