package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.DeviceException;
import org.junit.jupiter.api.Test;

/** What people read when something went wrong. */
class ErrorsTest {
    /** A device without its compiler, or one that another process holds, is nothing to report. */
    @Test
    void whatADeviceRefusesIsNoInternalError() {
        DeviceException e = new DeviceException("Kernel gather must be compiled, and there is no NVRTC. Install it") {
            private static final long serialVersionUID = 1;
        };
        assertThat(Errors.text(e)).isEqualTo("Kernel gather must be compiled, and there is no NVRTC. Install it.");
        assertThat(Errors.text(new NullPointerException("v"))).startsWith("internal error");
        assertThat(Errors.text(new OutOfMemoryError("cuda:0 has no room for a tensor of 8 bytes: 1 bytes are missing")))
                .isEqualTo("cuda:0 has no room for a tensor of 8 bytes: 1 bytes are missing.");
    }
}
