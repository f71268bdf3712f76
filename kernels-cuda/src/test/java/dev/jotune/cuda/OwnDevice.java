package dev.jotune.cuda;

import java.nio.file.Path;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A device of each test's own with nothing compiled yet, of compute capability 9.0 where the emulator makes it. */
abstract class OwnDevice {
    private static final String PLAIN_SCHEDULE = "schedule=forward async=lazy seed=1 capability=90";

    @TempDir
    Path cache;
    CudaBackend device;

    @BeforeEach
    void makeDevice() {
        FakeCuda.install();
        configure(PLAIN_SCHEDULE);
        device = device(UnaryOperator.identity());
    }

    @AfterEach
    void plainAgain() {
        configure(PLAIN_SCHEDULE);
    }

    /** Settings of the emulator; a real device has its own. */
    static void configure(String settings) {
        if (!FakeCuda.isReal()) {
            FakeCuda.configure(settings);
        }
    }

    /** Another one, whose kernels' texts are changed. */
    CudaBackend device(UnaryOperator<String> edit) {
        return new CudaBackend("cuda:own", DeviceInfo.all().getFirst(), cache, Staging.SLOT, edit);
    }
}
