package dev.jotune.jmh.gpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jcuda.Pointer;

/** What compute capability 9.0 has beyond 8.0, through the plain launch. */
final class HopperProbe {
    private static final String FILE = "probe-sm_90a.cubin";
    private static final int ROWS = 64;
    private static final int COLUMNS = 128;
    private static final int BOX_ROWS = 8;
    private static final int BOX_COLUMNS = 32;

    private final CudaProbe cuda;

    HopperProbe(CudaProbe cuda) {
        this.cuda = cuda;
    }

    /** Launches with the memory as the only argument. */
    private int launch(CudaProbe.Function f, int groups, int items) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocateFrom(JAVA_LONG, cuda.memory.raw());
            MemorySegment block = arena.allocateFrom(JAVA_LONG, value.address());
            int status = Native.launch(f.raw(), groups, items, cuda.stream.raw(), block.address());
            cuStreamSynchronize(cuda.stream);
            return status;
        }
    }

    String staticShared() throws IOException {
        int status = launch(cuda.function(FILE, "static_shared"), 1, 128);
        float[] out = new float[1];
        cuMemcpyDtoH(Pointer.to(out), cuda.memory, 4);
        return status == 0 ? out[0] == 16383 ? "yes" : "launched, but computed " + out[0] : "no, status " + status;
    }

    String clusters() throws IOException {
        int status = launch(cuda.function(FILE, "cluster_ranks"), 4, 32);
        int[] out = new int[4];
        cuMemcpyDtoH(Pointer.to(out), cuda.memory, 16);
        return status == 0 ? (Arrays.equals(out, new int[] {0, 1, 0, 1}) ? "yes" : "launched, but the ranks are ") + Arrays.toString(out)
                : "no, status " + status;
    }

    String tensorMap() throws IOException {
        CudaProbe.Function f = cuda.function(FILE, "tma_box");
        float[] all = CudaProbe.counted(ROWS * COLUMNS);
        cuMemcpyHtoD(cuda.memory, Pointer.to(all), 4L * all.length);
        long out = cuda.memory.raw() + 4L * all.length;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(192, 64);
            int status = Native.encode(values, cuda.memory.raw(), COLUMNS, ROWS, BOX_COLUMNS, BOX_ROWS);
            if (status != 0) {
                return "no, cuTensorMapEncodeTiled answers with status " + status;
            }
            int x = 64;
            int y = 16;
            values.set(JAVA_LONG, 128, out);
            values.set(JAVA_INT, 136, x);
            values.set(JAVA_INT, 140, y);
            long at = values.address();
            MemorySegment block = arena.allocateFrom(JAVA_LONG, at, at + 128, at + 136, at + 140);
            status = Native.launch(f.raw(), 1, BOX_ROWS * BOX_COLUMNS, cuda.stream.raw(), block.address());
            cuStreamSynchronize(cuda.stream);
            // The result lies behind the matrix: both are read.
            float[] got = new float[all.length + BOX_ROWS * BOX_COLUMNS];
            cuMemcpyDtoH(Pointer.to(got), cuda.memory, 4L * got.length);
            for (int i = 0; i < BOX_ROWS * BOX_COLUMNS; i++) {
                float right = (y + i / BOX_COLUMNS) * COLUMNS + x + i % BOX_COLUMNS;
                if (got[all.length + i] != right) {
                    return "status " + status + ", but value " + i + " of the box is " + got[all.length + i] + ", not " + right;
                }
            }
            return "yes";
        }
    }
}
