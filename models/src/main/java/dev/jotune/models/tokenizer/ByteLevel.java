package dev.jotune.models.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Writes the UTF-8 bytes of a text as visible characters and back (Radford et al. 2019, section 2.2).
 *
 * @param addPrefixSpace whether a text that does not begin with a space is given one
 * @param trimOffsets whether, after encoding, offsets leave out the white space at the ends of a token
 * @param split whether the text is cut into words by GPT-2's rule first
 */
record ByteLevel(boolean addPrefixSpace, boolean trimOffsets, boolean split)
        implements PreTokenizer, PostProcessor, Decoder {

    private static final TextPattern WORDS = TextPattern.regex(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");
    private static final int[] VISIBLE = new int[256];
    private static final int[] BYTES = new int[0x180];
    private static final int SPACE;

    static {
        Arrays.fill(BYTES, -1);
        int next = 256;
        for (int i = 0; i < 256; i++) {
            boolean printable = i >= '!' && i <= '~' || i >= 0xA1 && i <= 0xAC || i >= 0xAE;
            VISIBLE[i] = printable ? i : next++;
            BYTES[VISIBLE[i]] = i;
        }
        SPACE = VISIBLE[' '];
    }

    static ByteLevel read(JsonView view) {
        return new ByteLevel(view.bool("add_prefix_space", true), view.bool("trim_offsets", true),
                view.bool("use_regex", true));
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        NormalizedText whole = addPrefixSpace && !text.startsWith(' ') ? text.prepend(" ") : text;
        List<NormalizedText> words = split ? Split.cut(whole, WORDS, Split.Behavior.ISOLATED, false) : List.of(whole);
        List<NormalizedText> pieces = new ArrayList<>(words.size());
        for (NormalizedText word : words) {
            pieces.add(visible(word));
        }
        return pieces;
    }

    /** The character that a byte, 0 to 255, is written as. */
    static int visible(int value) {
        return VISIBLE[value];
    }

    /** The bytes of a text, each standing for the character it is part of. */
    static NormalizedText visible(NormalizedText word) {
        NormalizedText.Builder builder = word.builder(word.length());
        for (int i = 0; i < word.length(); i++) {
            int c = word.codePoint(i);
            if (c < 0x80) {
                builder.addAs(VISIBLE[c], i);
            } else {
                for (byte b : Character.toString(c).getBytes(StandardCharsets.UTF_8)) {
                    builder.addAs(VISIBLE[b & 0xFF], i);
                }
            }
        }
        return builder.build();
    }

    @Override
    public int added(boolean pair) {
        return 0;
    }

    @Override
    public List<Encoding> process(List<Encoding> texts, boolean addSpecialTokens) {
        return trimOffsets ? texts.stream().map(text -> trimmed(text, addPrefixSpace)).toList() : texts;
    }

    /** The encoding with offsets that leave out white space, except a single space that was put in front. */
    static Encoding trimmed(Encoding encoding, boolean addPrefixSpace) {
        int[] offsets = encoding.offsets().clone();
        for (int i = 0; i < encoding.length(); i++) {
            int[] token = encoding.tokens().get(i).codePoints().toArray();
            int leading = 0;
            while (leading < token.length && isSpace(token[leading])) {
                leading++;
            }
            int trailing = 0;
            while (trailing < token.length && isSpace(token[token.length - 1 - trailing])) {
                trailing++;
            }
            int start = offsets[2 * i];
            int end = offsets[2 * i + 1];
            boolean putInFront = addPrefixSpace && leading == 1 && (i == 0 || start == 0);
            if (!putInFront) {
                start = Math.min(start + leading, end);
            }
            if (end >= trailing) {
                end = Math.max(end - trailing, start);
            }
            offsets[2 * i] = start;
            offsets[2 * i + 1] = end;
        }
        return new Encoding(encoding.ids(), encoding.tokens(), offsets, encoding.typeIds(),
                encoding.specialTokensMask(), encoding.attentionMask(), encoding.wordIds(), encoding.sequenceIds(),
                encoding.overflowing().stream().map(window -> trimmed(window, addPrefixSpace)).toList());
    }

    private static boolean isSpace(int c) {
        return c == SPACE || Characters.isWhiteSpace(c);
    }

    @Override
    public List<String> decode(List<String> tokens) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (String token : tokens) {
            bytes.writeBytes(bytes(token));
        }
        return List.of(Utf8.decodeLossy(bytes.toByteArray(), bytes.size()));
    }

    /** The bytes that a token's characters stand for; those of its text if one stands for none. */
    static byte[] bytes(String token) {
        byte[] bytes = new byte[token.length()];
        for (int i = 0; i < bytes.length; i++) {
            char c = token.charAt(i);
            if (c >= BYTES.length || BYTES[c] < 0) {
                return token.getBytes(StandardCharsets.UTF_8);
            }
            bytes[i] = (byte) BYTES[c];
        }
        return bytes;
    }
}
