package dev.jotune.models.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Puts runs of tokens such as {@code <0xE2>} together as UTF-8; a run that is not UTF-8 gives one U+FFFD a byte. */
record ByteFallback() implements Decoder {

    private static final int NO_BYTE = -1;

    /** The token that stands for one byte. */
    static String token(int value) {
        return String.format("<0x%02X>", value);
    }

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = new ArrayList<>(tokens.size());
        ByteArrayOutputStream run = new ByteArrayOutputStream();
        for (String token : tokens) {
            int value = byteOf(token);
            if (value == NO_BYTE) {
                flush(run, result);
                result.add(token);
            } else {
                run.write(value);
            }
        }
        flush(run, result);
        return result;
    }

    /** The byte that a token stands for, or -1. */
    static int byteOf(String token) {
        if (token.length() != 6 || !token.startsWith("<0x") || token.charAt(5) != '>') {
            return NO_BYTE;
        }
        int high = hex(token.charAt(3));
        int low = hex(token.charAt(4));
        return high < 0 || low < 0 ? NO_BYTE : high << 4 | low;
    }

    private static int hex(char c) {
        return c < 128 ? Character.digit(c, 16) : -1;
    }

    private static void flush(ByteArrayOutputStream run, List<String> result) {
        if (run.size() == 0) {
            return;
        }
        try {
            result.add(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(run.toByteArray())).toString());
        } catch (CharacterCodingException e) {
            result.add("\uFFFD".repeat(run.size()));
        }
        run.reset();
    }
}
