package dev.jotune.cuda;

import dev.jotune.kernel.KernelTimes;
import dev.jotune.tensor.KernelTime;
import java.util.ArrayDeque;
import java.util.List;
import java.util.function.IntSupplier;
import jcuda.driver.CUevent;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/** How long each kernel took on the device, from events before and behind it. Used with its own monitor held. */
final class Times {
    /** Runs that may wait to be read; drivers hold memory for each event. */
    private static final int WAITING = 2048;
    private static final double NANOS_PER_MILLI = 1e6;

    private record Run(String kernel, CUevent start, CUevent end) {}

    private final ArrayDeque<Run> runs = new ArrayDeque<>();
    private final ArrayDeque<CUevent> idle = new ArrayDeque<>();
    private final KernelTimes all = new KernelTimes();

    /** Enqueues work between two events, and answers its status. */
    int measure(String kernel, Handles.Stream stream, IntSupplier work) {
        Run run = new Run(kernel, event(), event());
        Cu.check(JCudaDriver.cuEventRecord(run.start, stream), "cuEventRecord");
        int status = work.getAsInt();
        if (status == CUresult.CUDA_SUCCESS) {
            Cu.check(JCudaDriver.cuEventRecord(run.end, stream), "cuEventRecord");
            runs.add(run);
            if (runs.size() >= WAITING) {
                drain();
            }
        } else {
            idle.add(run.start);
            idle.add(run.end);
        }
        return status;
    }

    private CUevent event() {
        CUevent known = idle.poll();
        if (known != null) {
            return known;
        }
        CUevent fresh = new CUevent();
        Cu.check(JCudaDriver.cuEventCreate(fresh, 0), "cuEventCreate");
        return fresh;
    }

    /** Waits for what was enqueued and reads its times. */
    void drain() {
        float[] millis = new float[1];
        while (!runs.isEmpty()) {
            Run run = runs.removeFirst();
            Cu.check(JCudaDriver.cuEventSynchronize(run.end), "Waiting for kernel " + run.kernel);
            Cu.check(JCudaDriver.cuEventElapsedTime(millis, run.start, run.end), "cuEventElapsedTime of kernel " + run.kernel);
            all.add(run.kernel, Math.round(millis[0] * NANOS_PER_MILLI));
            idle.add(run.start);
            idle.add(run.end);
        }
    }

    /** Everything measured so far, the largest total first; then forgotten. */
    List<KernelTime> take() {
        return all.take();
    }
}
