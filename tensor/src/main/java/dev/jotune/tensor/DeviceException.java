package dev.jotune.tensor;

/** A device, its driver or its compiler refused something, or broke off; the message says what, on which device, and what can be done. */
public abstract class DeviceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    protected DeviceException(String message) {
        super(message);
    }
}
