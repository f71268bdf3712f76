package dev.jotune.opencl;

import dev.jotune.kernel.KernelTimes;
import dev.jotune.tensor.KernelTime;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_event;

/** How long each kernel took on the device, from the events of a profiling queue. Used with the queue's monitor held. */
final class Times {
    /** Events that may wait to be read; drivers hold memory for each. */
    private static final int WAITING = 4096;

    private final ArrayDeque<Map.Entry<String, cl_event>> events = new ArrayDeque<>();
    private final KernelTimes all = new KernelTimes();

    void add(String kernel, cl_event event) {
        events.add(Map.entry(kernel, event));
        if (events.size() >= WAITING) {
            drain();
        }
    }

    /** Waits for what was enqueued and reads its times. */
    void drain() {
        long[] time = new long[1];
        while (!events.isEmpty()) {
            Map.Entry<String, cl_event> e = events.removeFirst();
            Cl.check(CL.clWaitForEvents(1, new cl_event[] {e.getValue()}), "Waiting for kernel " + e.getKey());
            Cl.check(CL.clGetEventProfilingInfo(e.getValue(), CL.CL_PROFILING_COMMAND_START, Long.BYTES, Pointer.to(time), null),
                    "clGetEventProfilingInfo");
            long start = time[0];
            Cl.check(CL.clGetEventProfilingInfo(e.getValue(), CL.CL_PROFILING_COMMAND_END, Long.BYTES, Pointer.to(time), null),
                    "clGetEventProfilingInfo");
            all.add(e.getKey(), Math.max(0, time[0] - start));
            CL.clReleaseEvent(e.getValue());
        }
    }

    /** Everything measured so far, the largest total first; then forgotten. */
    List<KernelTime> take() {
        return all.take();
    }
}
