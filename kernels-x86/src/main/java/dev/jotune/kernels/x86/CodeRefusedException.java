package dev.jotune.kernels.x86;

/** The system does not let this process make code and run it; the message says which call was refused and why. */
public final class CodeRefusedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    CodeRefusedException(String message) {
        super(message);
    }
}
