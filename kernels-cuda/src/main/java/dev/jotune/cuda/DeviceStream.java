package dev.jotune.cuda;

import dev.jotune.kernel.DeviceMemory;
import dev.jotune.kernel.DeviceStorage;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.IntSupplier;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * One device's work, in the order in which it was asked for. Launches, fills, copies and writes only enqueue; a read waits for all that
 * came before it. Safe for use by several threads, without a lock between them. On a thread that records, launches, fills and copies go
 * into the {@link Recording} instead.
 */
final class DeviceStream {
    /** Whether every launch is waited for: slow, but an error then comes from the kernel that caused it. */
    static final String WAIT = "jotune.cuda.wait";

    /** Of a stream: not to wait for the default one. */
    static final int NON_BLOCKING = 1;
    /** What CUDA allows a grid along x, and along y and z. */
    private static final long MOST_X = Integer.MAX_VALUE;
    private static final long MOST_YZ = 65_535;
    /** Steps that an error can name. */
    private static final int REMEMBERED = 16;

    private final String device;
    private final Context context;
    private final DeviceMemory<Handles.Block> memory;
    private final ArgumentBlock.Blocks blocks = new ArgumentBlock.Blocks() {
        @Override
        public long address(Tensor t) {
            return blockOf(t).address();
        }

        @Override
        public long address(TensorMaps.Map m) {
            keep(m.memory());
            return m.address();
        }
    };
    private final boolean waiting = Boolean.getBoolean(WAIT);
    private final Handles.Stream stream = new Handles.Stream();
    private final Staging staging;
    private final Times times = new Times();
    private volatile boolean profiling;
    /** For errors: what was enqueued last, each by its number. */
    private final AtomicReferenceArray<String> steps = new AtomicReferenceArray<>(REMEMBERED);
    private final AtomicLong enqueued = new AtomicLong();
    private volatile Settled settled = new Settled(0, "");

    /**
     * How far the device is known to have come.
     *
     * @param count steps that are complete; of those that several threads enqueued at once one more may be
     * @param last the last of them
     */
    private record Settled(long count, String last) {}

    DeviceStream(String device, Context context, DeviceMemory<Handles.Block> memory, int slotBytes) {
        this.device = device;
        this.context = context;
        this.memory = memory;
        this.staging = new Staging(slotBytes, this::check);
        context.enter();
        Cu.check(JCudaDriver.cuStreamCreate(stream, NON_BLOCKING), "cuStreamCreate on " + device);
    }

    /** Where the first element lies. */
    long address(Tensor t) {
        return blocks.address(t) + t.offset() * t.dtype().byteSize();
    }

    /** Runs a kernel over a grid of groups of {@code source.group()} items. */
    void launch(CompiledKernel kernel, long x, long y, long z, Object... arguments) {
        if (x < 1 || y < 1 || z < 1 || x > MOST_X || y > MOST_YZ || z > MOST_YZ) {
            throw new IllegalArgumentException("Kernel " + kernel.title() + " cannot run on a grid of " + x + " x " + y + " x " + z
                    + " groups. CUDA allows 1 to " + MOST_X + " along x and " + MOST_YZ + " along y and z.");
        }
        ThreadState thread = context.enter();
        thread.arguments.set(kernel, blocks, arguments);
        Handles.Stream to = thread.recording == null ? stream : thread.recording.stream(this);
        int status;
        if (profiling && thread.recording == null) {
            status = measured(kernel.title(), () -> enqueue(thread.arguments, kernel, (int) x, (int) y, (int) z, to));
        } else {
            status = enqueue(thread.arguments, kernel, (int) x, (int) y, (int) z, to);
        }
        if (status == CUresult.CUDA_SUCCESS && waiting && thread.recording == null) {
            status = JCudaDriver.cuStreamSynchronize(stream);
        }
        if (status != CUresult.CUDA_SUCCESS) {
            throw failure(status, "Launching kernel " + kernel.title() + " with " + x + " x " + y + " x " + z + " groups of "
                    + kernel.source().group() + " items on " + device + ", arguments " + Arrays.toString(arguments) + ",");
        }
        if (thread.recording == null) {
            stepped(kernel.title());
        }
        Reference.reachabilityFence(arguments);
    }

    private static int enqueue(ArgumentBlock block, CompiledKernel k, int x, int y, int z, Handles.Stream to) {
        int group = k.source().group();
        if (k.cluster() == 1) {
            return Driver.launch(k.function().address(), x, y, z, group, k.dynamicShared(), to.address(), block.address());
        }
        long configuration = block.configuration(x, y, z, group, k.dynamicShared(), to.address(), k.cluster());
        return Driver.launch(configuration, k.function().address(), block.address());
    }

    private int measured(String what, IntSupplier work) {
        synchronized (times) {
            return profiling ? times.measure(what, stream, work) : work.getAsInt();
        }
    }

    /** A record cannot hold the events of a measurement. */
    private int measuredOutsideRecords(String what, IntSupplier work) {
        return profiling && ThreadState.get().recording == null ? measured(what, work) : work.getAsInt();
    }

    private void stepped(String what) {
        long n = enqueued.getAndIncrement();
        steps.set((int) (n % REMEMBERED), what);
        if (waiting) {
            settle(new Settled(n + 1, what));
        }
    }

    /**
     * What will be complete when something that is enqueued from now on is: a step is noted when it has been enqueued, so even one that another
     * thread notes meanwhile comes before.
     */
    private Settled soon() {
        long count = enqueued.get();
        String last = count == 0 ? null : steps.get((int) ((count - 1) % REMEMBERED));
        return last == null ? settled : new Settled(count, last);
    }

    /** A status as an error that says how far the device is known to have come. */
    private CudaException failure(int status, String what) {
        StringBuilder text = new StringBuilder(what);
        String last = settled.last;
        text.append(last.isEmpty() ? " with no step known to be complete" : " with " + last + " as the last step known to be complete");
        List<String> since = since();
        if (!since.isEmpty()) {
            text.append(" and enqueued since then: ").append(String.join(", ", since)).append(';');
        }
        return Cu.failure(status, text.toString());
    }

    private List<String> since() {
        List<String> names = new ArrayList<>();
        long end = enqueued.get();
        for (long n = Math.max(settled.count, end - REMEMBERED); n < end; n++) {
            String name = steps.get((int) (n % REMEMBERED));
            if (name != null) {
                names.add(name);
            }
        }
        return names;
    }

    private void check(int status, String what) {
        if (status != CUresult.CUDA_SUCCESS) {
            throw failure(status, what + " on " + device);
        }
    }

    /** The memory of a tensor, which a recording then keeps. */
    private Handles.Block blockOf(Tensor t) {
        DeviceStorage<Handles.Block> s = storageOf(t);
        keep(s);
        return s.block();
    }

    private static void keep(DeviceStorage<Handles.Block> s) {
        Recording recording = ThreadState.get().recording;
        if (recording != null) {
            recording.keep(s);
        }
    }

    /** The memory of a tensor on this device. */
    private DeviceStorage<Handles.Block> storageOf(Tensor t) {
        DeviceStorage<Handles.Block> s = storage(t);
        if (s.memory() != memory) {
            throw new IllegalArgumentException(t + " lies in the memory of " + s.memory().device() + ", not of " + device
                    + ". Take it there with Tensor.to(backend).");
        }
        return s;
    }

    /** The memory of a tensor on a device of this kind. */
    static DeviceStorage<Handles.Block> storage(Tensor t) {
        if (t.storage() instanceof DeviceStorage<?> s && s.block() instanceof Handles.Block) {
            @SuppressWarnings("unchecked")
            DeviceStorage<Handles.Block> mine = (DeviceStorage<Handles.Block>) s;
            return mine;
        }
        throw new IllegalArgumentException(t + " does not lie in the memory of a CUDA device. Take it there with Tensor.to(backend).");
    }

    private Handles.Stream enter() {
        ThreadState thread = context.enter();
        return thread.recording == null ? stream : thread.recording.stream(this);
    }

    private void enterToTransfer(String what) {
        ThreadState thread = context.enter();
        if (thread.recording != null) {
            throw new IllegalStateException(what + " on " + device + " cannot be recorded: a repetition would not do it again. Transfer before or "
                    + "after the recorded work.");
        }
    }

    /** Repeats {@code pattern}, of 1, 2 or 4 bytes, over memory whose place and size it divides. */
    void fill(Tensor target, long from, long bytes, byte[] pattern) {
        Handles.Stream to = enter();
        Handles.Block block = blockOf(target);
        ByteBuffer p = ByteBuffer.wrap(pattern).order(ByteOrder.nativeOrder());
        check(measuredOutsideRecords("memset", () -> switch (pattern.length) {
            case Byte.BYTES -> JCudaDriver.cuMemsetD8Async(block.withByteOffset(from), pattern[0], bytes, to);
            case Short.BYTES -> JCudaDriver.cuMemsetD16Async(block.withByteOffset(from), p.getShort(), bytes / Short.BYTES, to);
            case Integer.BYTES -> JCudaDriver.cuMemsetD32Async(block.withByteOffset(from), p.getInt(), bytes / Integer.BYTES, to);
            default -> throw new IllegalArgumentException("no memset of " + pattern.length + " bytes");
        }), "Filling " + bytes + " bytes");
        Reference.reachabilityFence(target);
    }

    /** Copies between places that do not overlap. */
    void copy(Tensor source, long from, Tensor target, long to, long bytes) {
        Handles.Stream by = enter();
        Handles.Block output = blockOf(target);
        Handles.Block input = blockOf(source);
        check(measuredOutsideRecords("memcpy", () -> JCudaDriver.cuMemcpyDtoDAsync(output.withByteOffset(to), input.withByteOffset(from),
                bytes, by)), "Copying " + bytes + " bytes");
        Reference.reachabilityFence(source);
        Reference.reachabilityFence(target);
    }

    /** To the device. The source may be changed or freed afterwards. */
    void write(Tensor target, long to, MemorySegment source) {
        enterToTransfer("Writing");
        staging.write(blockOf(target), to, source, stream);
        Reference.reachabilityFence(target);
    }

    /** To the host, after all that was asked for before. */
    void read(Tensor source, long from, MemorySegment target) {
        enterToTransfer("Reading");
        Settled then = soon();
        staging.read(blockOf(source), from, target, stream);
        settle(then);
        Reference.reachabilityFence(source);
    }

    private synchronized void settle(Settled now) {
        if (now.count > settled.count) {
            settled = now;
        }
    }

    /** Waits until the device has nothing left to do. */
    void finish() {
        enterToTransfer("Waiting");
        Settled then = soon();
        check(JCudaDriver.cuStreamSynchronize(stream), "Waiting");
        settle(then);
    }

    /** Work of other threads' making, enqueued as one step. */
    void enqueue(String what, IntSupplier work) {
        enterToTransfer("Repeating recorded work");
        check(profiling ? measured(what, work) : work.getAsInt(), what);
        stepped(what);
    }

    /** What this enqueues into. */
    Handles.Stream stream() {
        return stream;
    }

    /** Begins or ends measuring; what was enqueued is finished first. */
    Times profile(boolean on) {
        finish();
        synchronized (times) {
            times.drain();
            profiling = on;
        }
        return times;
    }
}
