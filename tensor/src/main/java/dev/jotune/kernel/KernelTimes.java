package dev.jotune.kernel;

import dev.jotune.tensor.KernelTime;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** How long the runs of each kernel took, gathered for a table. Used by one thread at a time. */
public final class KernelTimes {
    private static final double NANOS_PER_MICRO = 1000;
    private static final int FIRST = 16;

    private final Map<String, long[]> nanos = new LinkedHashMap<>();
    private final Map<String, Integer> calls = new LinkedHashMap<>();

    /** One run. */
    public void add(String kernel, long nano) {
        int n = calls.merge(kernel, 1, Integer::sum);
        long[] all = nanos.computeIfAbsent(kernel, k -> new long[FIRST]);
        if (n > all.length) {
            all = Arrays.copyOf(all, 2 * all.length);
            nanos.put(kernel, all);
        }
        all[n - 1] = nano;
    }

    /** Everything measured so far, the largest total first; then forgotten. */
    public List<KernelTime> take() {
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
