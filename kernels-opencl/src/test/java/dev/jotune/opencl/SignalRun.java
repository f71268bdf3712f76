package dev.jotune.opencl;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Says whose the handler of SIGSEGV is before and after a first kernel: a program of its own, for drivers replace it once a process. */
final class SignalRun {
    private SignalRun() {}

    public static void main(String[] args) throws IOException {
        System.out.println("before: " + owner());
        Backend b = Backends.get("opencl:0");
        Tensor x = Tensor.empty(b, DType.F32, 4, 4);
        b.normal(x, 1, 1);
        System.out.println("compiled: " + Float.isFinite(x.toFloatArray()[0]));
        System.out.println("after: " + owner());
    }

    /** The file that the handler was loaded from. */
    private static String owner() throws IOException {
        long handler = SignalHandlers.handler().orElseThrow();
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            String[] ends = line.substring(0, line.indexOf(' ')).split("-");
            if (Long.compareUnsigned(Long.parseUnsignedLong(ends[0], 16), handler) <= 0
                    && Long.compareUnsigned(handler, Long.parseUnsignedLong(ends[1], 16)) < 0) {
                return line.substring(line.lastIndexOf('/') + 1);
            }
        }
        return "nobody";
    }
}
