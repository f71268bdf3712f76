package dev.jotune.cuda;

import java.nio.file.Path;
import java.util.function.UnaryOperator;

/** The device that tests of the host code run on: the emulator, or a real one where {@link FakeCuda#REAL} asks for it. */
final class CudaDevices {
    private CudaDevices() {}

    /** The first. Without g++ tests are skipped; without a device that was asked for they fail. */
    static DeviceInfo info() {
        FakeCuda.install();
        return DeviceInfo.all().getFirst();
    }

    /** One that tests share, with compiled kernels where all programs of this machine keep them. */
    static CudaBackend shared() {
        return Shared.BACKEND;
    }

    private static final class Shared {
        static final CudaBackend BACKEND = new CudaBackend("cuda:0", info());
    }

    /** One with nothing in it, and transfers in chunks of 4 KiB. */
    static CudaBackend fresh(Path cache, UnaryOperator<String> edit) {
        return fresh(cache, edit, info());
    }

    /** One that says other things of itself. */
    static CudaBackend fresh(Path cache, UnaryOperator<String> edit, DeviceInfo info) {
        return new CudaBackend("cuda:9", info, cache, 4 << 10, edit);
    }
}
