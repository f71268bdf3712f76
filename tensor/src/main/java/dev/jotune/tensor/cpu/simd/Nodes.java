package dev.jotune.tensor.cpu.simd;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The parts of a machine with memory of their own (NUMA nodes): for each the processors that this process may use. Memory
 * belongs to the node whose processor first writes it, and the others read it more slowly.
 *
 * <p>{@code -Djotune.numa=off} takes the machine for one node.
 */
record Nodes(List<BitSet> processors) {
    /** Processors that one call can name. */
    private static final int MAX_PROCESSORS = 8192;
    private static final Path NODES = Path.of("/sys/devices/system/node");
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final String ALLOWED = "Cpus_allowed_list:";

    /** One node, or nothing known. */
    static final Nodes ONE = new Nodes(List.of(new BitSet()));

    /** Holder: the function is looked up where there is more than one node. */
    private static final class Native {
        static final Optional<MethodHandle> SET_AFFINITY = Linker.nativeLinker().defaultLookup().find("sched_setaffinity")
                .map(f -> Linker.nativeLinker().downcallHandle(f, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_LONG, ValueLayout.ADDRESS)));
    }

    int count() {
        return processors.size();
    }

    /** Those of this machine. */
    static Nodes ofMachine() {
        return System.getProperty("jotune.numa", "on").equals("off") ? ONE : of(NODES, STATUS);
    }

    /**
     * As Linux tells.
     *
     * @param folder has a folder {@code node0}, {@code node1}, ... with a file {@code cpulist} for each node
     * @param status names the processors that this process may use
     */
    static Nodes of(Path folder, Path status) {
        try (Stream<Path> nodes = Files.list(folder)) {
            BitSet allowed = new BitSet();
            for (String line : Files.readAllLines(status)) {
                if (line.startsWith(ALLOWED)) {
                    allowed = list(line.substring(ALLOWED.length()));
                }
            }
            List<BitSet> found = new ArrayList<>();
            for (Path node : nodes.filter(p -> p.getFileName().toString().matches("node\\d+")).sorted().toList()) {
                BitSet own = list(Files.readString(node.resolve("cpulist")));
                own.and(allowed);
                if (!own.isEmpty()) {
                    found.add(own);
                }
            }
            return found.size() > 1 ? new Nodes(found) : ONE;
        } catch (IOException | NumberFormatException e) {
            // Not Linux, or a system that hides it.
            return ONE;
        }
    }

    /** {@code 0-3,8,10-11}. */
    private static BitSet list(String text) {
        BitSet out = new BitSet();
        for (String part : text.strip().split(",")) {
            if (!part.isEmpty()) {
                String[] ends = part.split("-");
                out.set(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]) + 1);
            }
        }
        return out;
    }

    /** Keeps the calling thread on a node's processors; where the system does not let it, the thread stays free. */
    void stayOn(int node) {
        BitSet wanted = processors.get(node);
        if (count() == 1 || wanted.length() > MAX_PROCESSORS || Native.SET_AFFINITY.isEmpty()) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(MAX_PROCESSORS / Byte.SIZE);
            MemorySegment.copy(wanted.toByteArray(), 0, mask, ValueLayout.JAVA_BYTE, 0, wanted.toByteArray().length);
            int _ = (int) Native.SET_AFFINITY.get().invokeExact(0, mask.byteSize(), mask);
        } catch (Throwable e) {
            throw new IllegalStateException("sched_setaffinity failed", e);
        }
    }
}
