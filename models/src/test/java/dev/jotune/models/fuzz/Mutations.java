package dev.jotune.models.fuzz;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Ways to damage a file. All of them follow from the random numbers alone. */
final class Mutations {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final long[] NUMBERS = {0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff,
        0x10000, 0x7ffffffe, 0x7fffffff, 0x80000000L, 0xffffffffL, 0x100000000L, 1L << 40, 1L << 60, 1L << 61, (1L << 61) + 1, 1L << 62,
        Long.MAX_VALUE, Long.MIN_VALUE, -1, -2, -8, -32};
    private static final String[] FRAGMENTS = {"{", "}", "[", "]", ",", ":", "\"", "\\u0000", "\\ud800", "-1", "0", "1e400", "0.5", "null",
        "true", "NaN", "9223372036854775807", "18446744073709551616", "4294967296", "\u00e4", "[[[[[[", "\"F64\"", "\"F4\"", "\"U64\"",
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "(?:a*)*", "\\p{L}+", "../", "/"};
    private static final String[] TEXTS = {"", "x", "\u0000", "\u2581", "<unk>", "../x", "(", "(a+)+$", "\\", "BPE", "WordPiece", "Unigram",
        "Sequence", "ByteLevel", "Metaspace", "Split", "Fixed", "linear", "yarn", "llama3", "longrope", "gelu", "a b c"};

    private Mutations() {}

    /**
     * A change of bytes or two.
     *
     * @param head bytes at the beginning that most changes hit: beyond it are only numbers
     */
    static byte[] bytes(byte[] valid, int head, SplittableRandom random) {
        byte[] b = valid;
        for (int n = 1 + random.nextInt(6) / 4; n > 0 && b.length > 0; n--) {
            int range = random.nextInt(3) == 0 ? b.length : Math.min(b.length, head);
            int at = random.nextInt(range + 1);
            byte[] fragment = FRAGMENTS[random.nextInt(FRAGMENTS.length)].getBytes(StandardCharsets.UTF_8);
            b = switch (random.nextInt(9)) {
                case 0 -> Arrays.copyOf(b, random.nextInt(b.length + 1));
                case 1 -> splice(b, at, at, fragment);
                case 2 -> splice(b, at, Math.min(b.length, at + 1 + random.nextInt(12)), new byte[0]);
                case 3 -> overwrite(b, at, new byte[] {(byte) random.nextInt()});
                case 4 -> flip(b, at, random.nextInt(8));
                // The same length, so that length fields stay right and the damage goes deeper.
                case 5 -> overwrite(b, at, fragment);
                case 6 -> overwrite(b, at, number(random, Long.BYTES));
                case 7 -> overwrite(b, at, number(random, Integer.BYTES));
                default -> overwrite(b, random.nextInt(Math.min(b.length, 3 * Long.BYTES)), number(random, Long.BYTES));
            };
        }
        return b;
    }

    private static byte[] number(SplittableRandom random, int width) {
        byte[] eight = new byte[Long.BYTES];
        ByteBuffer.wrap(eight).order(ByteOrder.LITTLE_ENDIAN).putLong(NUMBERS[random.nextInt(NUMBERS.length)]);
        return Arrays.copyOf(eight, width);
    }

    private static byte[] flip(byte[] b, int at, int bit) {
        byte[] out = b.clone();
        out[Math.min(at, b.length - 1)] ^= (byte) (1 << bit);
        return out;
    }

    private static byte[] splice(byte[] b, int from, int to, byte[] replacement) {
        byte[] out = new byte[b.length - (to - from) + replacement.length];
        System.arraycopy(b, 0, out, 0, from);
        System.arraycopy(replacement, 0, out, from, replacement.length);
        System.arraycopy(b, to, out, from + replacement.length, b.length - to);
        return out;
    }

    private static byte[] overwrite(byte[] b, int at, byte[] with) {
        byte[] out = b.clone();
        int start = Math.min(at, b.length);
        System.arraycopy(with, 0, out, start, Math.min(with.length, b.length - start));
        return out;
    }

    /** Changes of a JSON text: of its structure mostly, of its bytes now and then. */
    static byte[] json(byte[] valid, SplittableRandom random) {
        if (random.nextInt(5) == 0) {
            return bytes(valid, valid.length, random);
        }
        try {
            JsonNode root = JSON.readTree(valid);
            for (int n = 1 + random.nextInt(3); n > 0; n--) {
                change(root, random);
            }
            return JSON.writeValueAsBytes(root);
        } catch (JsonProcessingException e) {
            throw new AssertionError("the seed is no JSON", e);
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Walks down from the root and changes what it comes to; large vocabularies do not draw all changes. */
    private static void change(JsonNode root, SplittableRandom random) {
        JsonNode at = root;
        while (true) {
            List<JsonNode> inner = new ArrayList<>();
            at.forEach(child -> {
                if (child.isContainerNode() && !child.isEmpty()) {
                    inner.add(child);
                }
            });
            if (inner.isEmpty() || random.nextInt(3) == 0) {
                break;
            }
            at = inner.get(random.nextInt(inner.size()));
        }
        if (at instanceof ObjectNode object && !object.isEmpty()) {
            List<String> names = new ArrayList<>();
            object.fieldNames().forEachRemaining(names::add);
            String name = names.get(random.nextInt(names.size()));
            switch (random.nextInt(6)) {
                case 0 -> object.remove(name);
                case 1 -> object.set(TEXTS[random.nextInt(TEXTS.length)], object.remove(name));
                case 2 -> object.set(name, object.get(names.get(random.nextInt(names.size()))).deepCopy());
                default -> object.set(name, value(random));
            }
        } else if (at instanceof ArrayNode array && !array.isEmpty()) {
            int i = random.nextInt(array.size());
            switch (random.nextInt(4)) {
                case 0 -> array.remove(i);
                case 1 -> array.insert(i, array.get(random.nextInt(array.size())).deepCopy());
                default -> array.set(i, value(random));
            }
        }
    }

    private static JsonNode value(SplittableRandom random) {
        JsonNodeFactory f = JsonNodeFactory.instance;
        return switch (random.nextInt(12)) {
            case 0 -> f.nullNode();
            case 1 -> f.booleanNode(random.nextInt(2) == 0);
            case 2 -> f.arrayNode();
            case 3 -> f.objectNode();
            case 4 -> f.numberNode(0.5);
            case 5 -> f.numberNode(random.nextInt(2) == 0 ? 1e308 : -1e-320);
            case 6 -> f.numberNode(new BigInteger("18446744073709551616"));
            case 7 -> deep(f, 1 + random.nextInt(2000));
            case 8, 9 -> f.textNode(TEXTS[random.nextInt(TEXTS.length)]);
            default -> f.numberNode(NUMBERS[random.nextInt(NUMBERS.length)]);
        };
    }

    private static JsonNode deep(JsonNodeFactory f, int levels) {
        JsonNode n = f.arrayNode();
        for (int i = 0; i < Math.min(levels, 900); i++) {
            n = f.arrayNode().add(n);
        }
        return n;
    }
}
