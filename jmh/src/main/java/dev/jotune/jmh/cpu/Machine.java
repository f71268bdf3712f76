package dev.jotune.jmh.cpu;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.DoubleAdder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The ceilings that a kernel is held against, measured beside it: {@code Machine THREADS}. Multiply-adds on registers,
 * and bytes read from a buffer that fits the L1, the L2 and the L3 cache and from one that fits none.
 */
public final class Machine {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    /** Bytes: half an L1 of 32 KB, three quarters of an L2 of 1 MB, a third of an L3 of 32 MB, and beyond all caches. */
    private static final Map<String, Long> BUFFERS = Map.of("l1", 16L << 10, "l2", 768L << 10, "l3", 10L << 20, "memory", 256L << 20);
    private static volatile float sink;

    private Machine() {}

    public static void main(String[] args) throws IOException {
        int most = Integer.parseInt(args[0]);
        Burst.warmUp();
        for (int threads = 1; threads <= most; threads++) {
            Map<String, Object> line = Log.line("machine", "ceilings", processor(), "all");
            line.put("threads", threads);
            line.put("load", Log.rounded(load()));
            line.put("fma_gflops", Log.rounded(Burst.rate(threads)));
            for (Map.Entry<String, Long> buffer : BUFFERS.entrySet()) {
                line.put("read_gbps_" + buffer.getKey(), Log.rounded(read(threads, buffer.getValue())));
            }
            line.put("java", System.getProperty("java.vendor.version", "") + " " + System.getProperty("java.version"));
            line.put("vector_bits", S.vectorBitSize());
            Log.print(line);
        }
    }

    /** The processor as Linux names it. */
    private static String processor() throws IOException {
        Path info = Path.of("/proc/cpuinfo");
        if (!Files.exists(info)) {
            return System.getProperty("os.arch");
        }
        Map<String, String> first = new LinkedHashMap<>();
        for (String l : Files.readAllLines(info)) {
            int colon = l.indexOf(':');
            if (colon > 0) {
                first.putIfAbsent(l.substring(0, colon).strip(), l.substring(colon + 1).strip());
            }
        }
        return first.getOrDefault("model name", System.getProperty("os.arch")) + ", family " + first.get("cpu family") + " model "
                + first.get("model");
    }

    private static double load() {
        return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    private static double read(int threads, long bytes) {
        DoubleAdder sum = new DoubleAdder();
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            all[i] = Thread.ofPlatform().start(() -> sum.add(read(bytes / 256 * 256)));
        }
        for (Thread t : all) {
            try {
                t.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException("a reading thread was interrupted. Run it again.", e);
            }
        }
        return sum.sum();
    }

    // The median pass of half a second: the best one would be the clock's luck.
    private static double read(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(bytes, 64).fill((byte) 1);
            int repeats = (int) Math.clamp((4L << 20) / bytes, 1, 1 << 12);
            long end = System.nanoTime() + 500_000_000L;
            List<Double> rates = new ArrayList<>();
            while (System.nanoTime() < end || rates.size() < 5) {
                long start = System.nanoTime();
                for (int r = 0; r < repeats; r++) {
                    sink = sum(buffer, bytes);
                }
                rates.add((double) bytes * repeats / (System.nanoTime() - start));
            }
            rates.sort(null);
            return rates.get(rates.size() / 2);
        }
    }

    private static float sum(MemorySegment buffer, long bytes) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int step = S.vectorByteSize();
        for (long i = 0; i < bytes; i += 4L * step) {
            a = a.add(FloatVector.fromMemorySegment(S, buffer, i, ByteOrder.nativeOrder()));
            b = b.add(FloatVector.fromMemorySegment(S, buffer, i + step, ByteOrder.nativeOrder()));
            c = c.add(FloatVector.fromMemorySegment(S, buffer, i + 2L * step, ByteOrder.nativeOrder()));
            d = d.add(FloatVector.fromMemorySegment(S, buffer, i + 3L * step, ByteOrder.nativeOrder()));
        }
        return a.add(b).add(c.add(d)).lane(0);
    }
}
