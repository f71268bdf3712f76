package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.ScanKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** The texts of the selective scan, specialised by the number of states. */
final class ScanTexts {
    /** States that a channel may have: they all lie in one group. */
    static final int MOST_STATES = 256;
    private static final int GROUP = 256;
    /** Channels of a group at most, so that the sums which they leave for other groups to add stay few. */
    private static final int MOST_CHANNELS = 32;
    /** Steps whose products meet in shared memory at once: 8 KB. */
    private static final int OUTPUT_SPAN = 8;
    /** Steps whose states shared memory holds on the way back: 16 KB; and steps that are summed at once, in four sums: 9 KB. */
    private static final int GRADIENT_SPAN = 16;
    private static final int PAIR = 2;

    private record Key(String name, int states, boolean backward) {}

    private static final Map<Key, KernelSource> KNOWN = new ConcurrentHashMap<>();

    private ScanTexts() {}

    /** Channels that a group takes. */
    static int channels(int states) {
        return Math.min(MOST_CHANNELS, GROUP / states);
    }

    static KernelSource ends(int states, boolean backward) {
        return known("scan_ends", states, backward, () -> {
            List<Param> params = buffers("input dt a map", "ends totals");
            sizes(params);
            return params;
        });
    }

    static KernelSource carry(int states, boolean backward) {
        return known("scan_carry", states, backward, () -> {
            List<Param> params = buffers("a start totals", "ends");
            params.addAll(List.of(Param.int64("batch"), Param.int64("chunks"), Param.int64("channels")));
            return params;
        });
    }

    static KernelSource outputs(int states) {
        return known("scan_outputs", states, false, () -> {
            List<Param> params = buffers("x dt a b c d starts", "y last");
            sizes(params);
            return params;
        });
    }

    static KernelSource gradients(int states) {
        return known("scan_gradients", states, true, () -> {
            List<Param> params = buffers("x dt a b c d starts carries dy", "dx ddt da db dc dd dstate");
            sizes(params);
            return params;
        });
    }

    private static List<Param> buffers(String read, String written) {
        List<Param> params = new ArrayList<>();
        for (String name : read.split(" ")) {
            params.add(Param.in(name, DType.F32));
        }
        for (String name : written.split(" ")) {
            params.add(Param.out(name, DType.F32));
        }
        return params;
    }

    private static void sizes(List<Param> params) {
        params.addAll(List.of(Param.int64("batch"), Param.int64("time"), Param.int64("channels"), Param.int64("chunks")));
    }

    private static KernelSource known(String name, int states, boolean backward, Supplier<List<Param>> params) {
        Key key = new Key(name, states, backward);
        KernelSource s = KNOWN.get(key);
        return s != null ? s : KNOWN.computeIfAbsent(key, k -> {
            TreeMap<String, Integer> defines = new TreeMap<>(Map.of("STATES", states, "CHANNELS", channels(states), "CHUNK", ScanKernel.CHUNK,
                    "SPAN", backward ? GRADIENT_SPAN : OUTPUT_SPAN, "PAIR", PAIR, "BACKWARD", backward ? 1 : 0));
            return KernelSource.of(ScanTexts.class, name, params.get(), defines, states * channels(states));
        });
    }
}
