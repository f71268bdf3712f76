package dev.jotune.cuda;

import dev.jotune.tensor.DeviceException;

/** A call of CUDA failed; the message says which, on what, and what can be done. */
public final class CudaException extends DeviceException {
    private static final long serialVersionUID = 1;

    CudaException(String message) {
        super(message);
    }
}
