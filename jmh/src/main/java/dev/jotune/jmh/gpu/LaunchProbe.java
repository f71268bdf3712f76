package dev.jotune.jmh.gpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jcuda.Pointer;
import jcuda.driver.CUevent;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;

/** What launching costs: on the device, and the thread that asks. */
final class LaunchProbe {
    private static final int IN_GRAPH = 100;
    private static final int CALLS = 500;
    private static final int TAKES = 60;

    private final CudaProbe cuda;

    LaunchProbe(CudaProbe cuda) {
        this.cuda = cuda;
    }

    private void byJCuda(CudaProbe.Function f) {
        cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, cuda.stream, Pointer.to(Pointer.to(cuda.memory), Pointer.to(cuda.memory), Pointer.to(cuda.memory),
                Pointer.to(new long[] {1}), Pointer.to(new int[] {2}), Pointer.to(new float[] {3})), null);
    }

    String events() throws IOException {
        CudaProbe.Function f = cuda.function(cuda.cubin(), "nothing");
        CUevent from = new CUevent();
        CUevent to = new CUevent();
        cuEventCreate(from, 0);
        cuEventCreate(to, 0);
        double[] micros = new double[TAKES];
        for (int i = 0; i < micros.length; i++) {
            cuEventRecord(from, cuda.stream);
            byJCuda(f);
            cuEventRecord(to, cuda.stream);
            cuEventSynchronize(to);
            float[] ms = new float[1];
            cuEventElapsedTime(ms, from, to);
            micros[i] = ms[0] * 1e3;
        }
        Arrays.sort(micros);
        return Goal.plain(micros[TAKES / 2]) + " us in the middle of " + TAKES + ", " + Goal.plain(micros[0]) + " at least";
    }

    /** Microseconds of the caller's time a call. */
    private double caller(Runnable call) {
        double[] micros = new double[TAKES];
        for (int i = 0; i < micros.length; i++) {
            long start = System.nanoTime();
            for (int k = 0; k < CALLS; k++) {
                call.run();
            }
            micros[i] = (System.nanoTime() - start) / 1e3 / CALLS;
            cuStreamSynchronize(cuda.stream);
        }
        // The first half lets the JVM compile.
        double[] late = Arrays.copyOfRange(micros, TAKES / 2, TAKES);
        Arrays.sort(late);
        return late[late.length / 2];
    }

    String costs() throws IOException {
        CudaProbe.Function f = cuda.function(cuda.cubin(), "nothing");
        try (Arena arena = Arena.ofConfined()) {
            long memory = cuda.memory.raw();
            MemorySegment values = arena.allocate(64, 16);
            for (int i = 0; i < 3; i++) {
                values.set(JAVA_LONG, 8L * i, memory);
            }
            values.set(JAVA_LONG, 24, 1);
            values.set(JAVA_INT, 32, 2);
            values.set(JAVA_FLOAT, 36, 3);
            MemorySegment block = arena.allocate(8 * 6, 8);
            long[] at = {0, 8, 16, 24, 32, 36};
            for (int i = 0; i < at.length; i++) {
                block.set(JAVA_LONG, 8L * i, values.address() + at[i]);
            }
            long function = f.raw();
            long stream = cuda.stream.raw();
            int status = Native.launch(function, 1, 32, stream, block.address());
            if (status != 0) {
                return "java.lang.foreign: status " + status;
            }
            double jcuda = caller(() -> byJCuda(f));
            double foreign = caller(() -> Native.launch(function, 1, 32, stream, block.address()));
            cuStreamBeginCapture(cuda.stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED);
            for (int i = 0; i < IN_GRAPH; i++) {
                byJCuda(f);
            }
            CUgraph graph = new CUgraph();
            cuStreamEndCapture(cuda.stream, graph);
            CUgraphExec exec = new CUgraphExec();
            cuGraphInstantiate(exec, graph, 0);
            double once = caller(() -> cuGraphLaunch(exec, cuda.stream));
            long start = System.nanoTime();
            for (int i = 0; i < CALLS; i++) {
                cuGraphLaunch(exec, cuda.stream);
            }
            cuStreamSynchronize(cuda.stream);
            double through = (System.nanoTime() - start) / 1e3 / CALLS;
            return "JCuda with fresh arrays " + Goal.plain(jcuda) + " us, java.lang.foreign " + Goal.plain(foreign)
                    + " us (both with the driver's own part); a graph of " + IN_GRAPH + " kernels " + Goal.plain(once) + " us to ask for, "
                    + Goal.plain(through) + " us until done";
        }
    }
}
