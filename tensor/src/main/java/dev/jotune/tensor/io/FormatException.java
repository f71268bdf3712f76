package dev.jotune.tensor.io;

import java.nio.file.Path;

/**
 * A file's content is not what its format demands. The message names the file, says what is wrong with which
 * value, and then what to do. Trouble with the disk itself is an {@link java.io.IOException} instead.
 */
public class FormatException extends RuntimeException {

    private static final long serialVersionUID = 1L;
    private static final int LONGEST_QUOTE = 80;

    public FormatException(String message) {
        super(message);
    }

    public FormatException(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * @param file   the file that is refused
     * @param fault  what is wrong, without a full stop, such as {@code the header length 9 exceeds the file}
     * @param remedy what the reader of the message can do, a whole sentence
     */
    public FormatException(Path file, String fault, String remedy) {
        super(message(file, fault, remedy));
    }

    public FormatException(Path file, String fault, String remedy, Throwable cause) {
        super(message(file, fault, remedy), cause);
    }

    private static String message(Path file, String fault, String remedy) {
        return file + ": " + fault + ". " + remedy;
    }

    /**
     * A text from a file, safe to put into a message: quoted, cut to a readable length, control characters and
     * lone surrogates escaped, so that a hostile name can neither flood nor reprogram a terminal.
     */
    public static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (int i = 0; i < text.length() && i < LONGEST_QUOTE; i++) {
            char c = text.charAt(i);
            if (Character.isISOControl(c) || Character.isSurrogate(c)
                    || Character.getType(c) == Character.FORMAT) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append(text.length() > LONGEST_QUOTE ? "...\"" : "\"").toString();
    }
}
