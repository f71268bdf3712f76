package dev.jotune.jmh.gpu;

import java.nio.file.Path;

/** Launches kernels that write behind their buffer and race, for a checker to find: {@code Faulty KERNELS}. */
public final class Faulty {
    private Faulty() {}

    public static void main(String[] args) throws Exception {
        CudaProbe.faults(Path.of(args[0]));
    }
}
