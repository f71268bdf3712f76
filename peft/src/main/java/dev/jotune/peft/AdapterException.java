package dev.jotune.peft;

/** An adapter that cannot be made, read or merged: the message says what and where, and what to do. */
public class AdapterException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public AdapterException(String message) {
        super(message);
    }

    public AdapterException(String message, Throwable cause) {
        super(message, cause);
    }
}
