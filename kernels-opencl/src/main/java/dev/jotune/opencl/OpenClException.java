package dev.jotune.opencl;

/** A call of OpenCL failed; the message says which, on what, and what can be done. */
public final class OpenClException extends RuntimeException {
    private static final long serialVersionUID = 1;

    OpenClException(String message) {
        super(message);
    }
}
