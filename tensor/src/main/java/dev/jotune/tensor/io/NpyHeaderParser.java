package dev.jotune.tensor.io;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/**
 * Reads the Python dictionary of a .npy header: exactly the keys descr, fortran_order and shape, each once, with a
 * quoted type, True or False, and a tuple of whole numbers. Nothing else of Python is understood.
 */
final class NpyHeaderParser {

    private static final String REMEDY = "Save it again with numpy.save(file, array, allow_pickle=False).";
    /** NumPy's own limit is 64. */
    private static final int MOST_AXES = 64;

    private final Path file;
    private final String text;
    private int at;

    NpyHeaderParser(Path file, String text) {
        this.file = file;
        this.text = text;
    }

    NpyHeader parse() {
        String descr = null;
        Boolean fortran = null;
        long[] shape = null;
        Set<String> seen = new HashSet<>();
        expect('{');
        while (!accept('}')) {
            String key = quoted();
            if (!seen.add(key)) {
                throw fault("the key " + FormatException.quote(key) + " is given twice");
            }
            expect(':');
            switch (key) {
                case "descr" -> descr = quoted();
                case "fortran_order" -> fortran = bool();
                case "shape" -> shape = tuple();
                default -> throw fault("the key " + FormatException.quote(key) + " is unknown");
            }
            if (!accept(',')) {
                expect('}');
                break;
            }
        }
        if (peek() != 0) {
            throw fault("there is text after the dictionary");
        }
        if (descr == null || fortran == null || shape == null) {
            throw fault("descr, fortran_order or shape is missing");
        }
        return header(descr, fortran, shape);
    }

    private NpyHeader header(String descr, boolean fortran, long[] shape) {
        char order = descr.isEmpty() ? 0 : descr.charAt(0);
        StoredType type = NpyHeader.type(descr.substring(Math.min(1, descr.length()))).orElse(null);
        boolean singleByte = type != null && type.bits() == Byte.SIZE;
        if (type == null || "<>|=".indexOf(order) < 0 || (order == '|' && !singleByte) || order == '=') {
            throw fault("the element type " + FormatException.quote(descr) + " cannot be read");
        }
        return new NpyHeader(type, order == '>' && !singleByte, fortran, shape);
    }

    private long[] tuple() {
        expect('(');
        long[] sizes = new long[MOST_AXES];
        int count = 0;
        while (!accept(')')) {
            if (count == MOST_AXES) {
                throw fault("the shape has more than " + MOST_AXES + " axes");
            }
            sizes[count++] = number();
            if (!accept(',')) {
                if (count == 1) {
                    throw fault("the shape is a number in parentheses, not a tuple");
                }
                expect(')');
                break;
            }
        }
        return Arrays.copyOf(sizes, count);
    }

    private long number() {
        peek();
        int begin = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        try {
            return Long.parseLong(text.substring(begin, at));
        } catch (NumberFormatException e) {
            throw fault("the shape holds something that is not a whole number of 63 bits");
        }
    }

    private boolean bool() {
        peek();
        for (String word : new String[] {"True", "False"}) {
            if (text.startsWith(word, at)) {
                at += word.length();
                return word.equals("True");
            }
        }
        throw fault("fortran_order is neither True nor False");
    }

    private String quoted() {
        char quote = peek();
        int end = quote == '\'' || quote == '"' ? text.indexOf(quote, at + 1) : -1;
        if (end < 0) {
            throw fault("a quoted text is expected at character " + at);
        }
        String value = text.substring(at + 1, end);
        at = end + 1;
        return value;
    }

    private void expect(char c) {
        if (!accept(c)) {
            throw fault("'" + c + "' is expected at character " + at);
        }
    }

    private boolean accept(char c) {
        if (peek() != c) {
            return false;
        }
        at++;
        return true;
    }

    /** The next character that is not white space, or 0 at the end. */
    private char peek() {
        while (at < text.length() && (text.charAt(at) == ' ' || text.charAt(at) == '\n')) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : 0;
    }

    private FormatException fault(String what) {
        return new FormatException(file, "the header cannot be read: " + what, REMEDY);
    }
}
