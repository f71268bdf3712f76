package dev.jotune.opencl;

import dev.jotune.tensor.DeviceException;

/** A call of OpenCL failed; the message says which, on what, and what can be done. */
public final class OpenClException extends DeviceException {
    private static final long serialVersionUID = 1;

    OpenClException(String message) {
        super(message);
    }
}
