package dev.jotune.opencl;

import dev.jotune.tensor.KernelTime;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_event;

/** How long each kernel took on the device, from the events of a profiling queue. Used with the queue's monitor held. */
final class Times {
    /** Events that may wait to be read; drivers hold memory for each. */
    private static final int WAITING = 4096;
    private static final double NANOS_PER_MICRO = 1000;

    private final ArrayDeque<Map.Entry<String, cl_event>> events = new ArrayDeque<>();
    private final Map<String, long[]> nanos = new LinkedHashMap<>();
    private final Map<String, Integer> calls = new LinkedHashMap<>();

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
            record(e.getKey(), Math.max(0, time[0] - start));
            CL.clReleaseEvent(e.getValue());
        }
    }

    private void record(String kernel, long nano) {
        int n = calls.merge(kernel, 1, Integer::sum);
        long[] all = nanos.computeIfAbsent(kernel, k -> new long[16]);
        if (n > all.length) {
            all = Arrays.copyOf(all, 2 * all.length);
            nanos.put(kernel, all);
        }
        all[n - 1] = nano;
    }

    /** Everything measured so far, the largest total first; then forgotten. */
    List<KernelTime> take() {
        List<KernelTime> out = nanos.entrySet().stream().map(e -> {
            long[] sorted = Arrays.copyOf(e.getValue(), calls.get(e.getKey()));
            Arrays.sort(sorted);
            double total = Arrays.stream(sorted).sum() / NANOS_PER_MICRO;
            return new KernelTime(e.getKey(), sorted.length, total, sorted[sorted.length / 2] / NANOS_PER_MICRO);
        }).sorted(Comparator.comparingDouble(KernelTime::totalMicros).reversed()).toList();
        nanos.clear();
        calls.clear();
        return out;
    }
}
