package dev.jotune.cli;

/** The command was understood but could not be done: exit code 1. The message says what stopped it, and what to do. */
final class FailureException extends RuntimeException {
    private static final long serialVersionUID = 1;

    FailureException(String message) {
        super(message);
    }

    FailureException(String message, Throwable cause) {
        super(message, cause);
    }
}
