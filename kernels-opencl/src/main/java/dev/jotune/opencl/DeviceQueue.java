package dev.jotune.opencl;

import dev.jotune.kernel.DeviceStorage;
import dev.jotune.kernel.KernelSource;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayDeque;
import java.util.Arrays;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_command_queue;
import org.jocl.cl_context;
import org.jocl.cl_event;
import org.jocl.cl_mem;

/**
 * One device's work, in the order in which it was asked for. Launches, fills, copies and small writes only enqueue; a read waits
 * for all that came before it. Safe for use by several threads.
 */
final class DeviceQueue {
    /** Bytes of one transfer: far above what the bus needs to be busy, far below what Java's buffers can name. */
    private static final long CHUNK = 64L << 20;
    /** Writes up to this size are copied aside, so that the caller need not wait for the device. */
    private static final long SMALL = 1L << 20;
    /** Launches after which the driver is told to begin, if nobody has waited since. */
    private static final int FLUSH = 16;
    /** Whether every command is waited for: slow, but an error then comes from the kernel that caused it. */
    private static final boolean WAIT = Boolean.getBoolean("jotune.opencl.wait");

    private final String device;
    private final DeviceInfo info;
    private final cl_context context;
    private final Times times = new Times();
    /** Small writes under way: the copy may be recycled when its event is complete. */
    private final ArrayDeque<Write> writes = new ArrayDeque<>();
    private cl_command_queue queue;
    private boolean profiling;
    private int unflushed;
    private volatile String last = "";

    private record Write(cl_event event, Storage copy) {}

    DeviceQueue(String device, DeviceInfo info, cl_context context) {
        this.device = device;
        this.info = info;
        this.context = context;
        this.queue = make(false);
    }

    private cl_command_queue make(boolean withTimes) {
        int[] status = new int[1];
        // Its successor came with OpenCL 2.0, and 1.2 is what is asked of devices.
        @SuppressWarnings("deprecation")
        cl_command_queue q = CL.clCreateCommandQueue(context, info.id(), withTimes ? CL.CL_QUEUE_PROFILING_ENABLE : 0, status);
        Cl.check(status[0], "clCreateCommandQueue on " + device);
        return q;
    }

    /** Begins or ends measuring; what was enqueued is finished first. */
    synchronized Times profile(boolean on) {
        finish();
        times.drain();
        if (on != profiling) {
            CL.clReleaseCommandQueue(queue);
            queue = make(on);
            profiling = on;
        }
        return times;
    }

    /** Runs a kernel over a grid of groups of {@code source.group()} items. */
    void launch(CompiledKernel kernel, long x, long y, long z, Object... arguments) {
        KernelSource source = kernel.source();
        long[] global = {x * source.group(), y, z};
        long[] local = {source.group(), 1, 1};
        synchronized (kernel) {
            kernel.arguments(arguments);
            synchronized (this) {
                cl_event event = profiling ? new cl_event() : null;
                int status = CL.clEnqueueNDRangeKernel(queue, kernel.kernel(), 3, null, global, local, 0, null, event);
                if (status != CL.CL_SUCCESS) {
                    Cl.check(status, "Launching kernel " + kernel.title() + " with " + x + " x " + y + " x " + z + " groups of " + source.group()
                            + " items on " + device + ", arguments " + Arrays.toString(arguments) + ",");
                }
                enqueued(kernel.title(), event);
            }
        }
        Reference.reachabilityFence(arguments);
    }

    private void enqueued(String what, cl_event event) {
        last = what;
        if (event != null) {
            times.add(what, event);
        }
        if (WAIT) {
            finish();
        } else if (++unflushed >= FLUSH) {
            unflushed = 0;
            Cl.check(CL.clFlush(queue), "clFlush on " + device);
        }
    }

    /** Repeats {@code pattern}, of 1, 2, 4 or 8 bytes, over memory whose place and size it divides. */
    synchronized void fill(DeviceStorage<cl_mem> target, long from, long bytes, byte[] pattern) {
        cl_event event = profiling ? new cl_event() : null;
        Cl.check(CL.clEnqueueFillBuffer(queue, target.block(), Pointer.to(pattern), pattern.length, from, bytes, 0, null, event),
                "Filling " + bytes + " bytes on " + device);
        enqueued("fill", event);
        Reference.reachabilityFence(target);
    }

    /** Copies between places that do not overlap. */
    synchronized void copy(DeviceStorage<cl_mem> source, long from, DeviceStorage<cl_mem> target, long to, long bytes) {
        cl_event event = profiling ? new cl_event() : null;
        Cl.check(CL.clEnqueueCopyBuffer(queue, source.block(), target.block(), from, to, bytes, 0, null, event),
                "Copying " + bytes + " bytes on " + device);
        enqueued("copy", event);
        Reference.reachabilityFence(source);
        Reference.reachabilityFence(target);
    }

    /** To the device. The source may be changed or freed afterwards. */
    void write(DeviceStorage<cl_mem> target, long to, MemorySegment source) {
        long bytes = source.byteSize();
        if (bytes <= SMALL) {
            writeSmall(target, to, source);
            return;
        }
        Storage staging = source.isNative() ? null : HostMemory.allocate(Math.min(bytes, CHUNK));
        for (long at = 0; at < bytes; at += CHUNK) {
            MemorySegment part = source.asSlice(at, Math.min(CHUNK, bytes - at));
            if (staging != null) {
                part = staging.host().asSlice(0, part.byteSize()).copyFrom(part);
            }
            transfer(false, target.block(), to + at, part, bytes);
        }
        if (staging != null) {
            staging.free();
        }
        Reference.reachabilityFence(target);
    }

    private synchronized void writeSmall(DeviceStorage<cl_mem> target, long to, MemorySegment source) {
        recycle();
        if (source.byteSize() == 0) {
            return;
        }
        Storage copy = HostMemory.allocate(source.byteSize());
        cl_event event = new cl_event();
        Pointer from = Pointer.to(copy.host().copyFrom(source).asByteBuffer());
        // JOCL lets a thread of its own wait for a write that does not wait itself.
        Cl.check(CL.clEnqueueWriteBuffer(queue, target.block(), WAIT, to, source.byteSize(), from, 0, null, event),
                "Writing " + source.byteSize() + " bytes to " + device);
        writes.add(new Write(event, copy));
        unflushed++;
        Reference.reachabilityFence(target);
    }

    private void recycle() {
        int[] state = new int[1];
        while (!writes.isEmpty()) {
            Write first = writes.peekFirst();
            Cl.check(CL.clGetEventInfo(first.event, CL.CL_EVENT_COMMAND_EXECUTION_STATUS, Integer.BYTES, Pointer.to(state), null), "clGetEventInfo");
            // Negative: the write failed, which the next read reports.
            if (state[0] > CL.CL_COMPLETE) {
                return;
            }
            writes.removeFirst();
            CL.clReleaseEvent(first.event);
            first.copy.free();
        }
    }

    /** To the host, after all that was asked for before. */
    void read(DeviceStorage<cl_mem> source, long from, MemorySegment target) {
        long bytes = target.byteSize();
        Storage staging = target.isNative() ? null : HostMemory.allocate(Math.min(bytes, CHUNK));
        for (long at = 0; at < bytes; at += CHUNK) {
            MemorySegment part = target.asSlice(at, Math.min(CHUNK, bytes - at));
            MemorySegment native_ = staging == null ? part : staging.host().asSlice(0, part.byteSize());
            transfer(true, source.block(), from + at, native_, bytes);
            if (staging != null) {
                part.copyFrom(native_);
            }
        }
        if (staging != null) {
            staging.free();
        }
        Reference.reachabilityFence(source);
    }

    private void transfer(boolean read, cl_mem buffer, long at, MemorySegment host, long whole) {
        Pointer pointer = Pointer.to(host.asByteBuffer());
        cl_command_queue q;
        synchronized (this) {
            q = queue;
            unflushed = 0;
        }
        int status = read ? CL.clEnqueueReadBuffer(q, buffer, true, at, host.byteSize(), pointer, 0, null, null)
                : CL.clEnqueueWriteBuffer(q, buffer, true, at, host.byteSize(), pointer, 0, null, null);
        if (status != CL.CL_SUCCESS) {
            Cl.check(status, (read ? "Reading " : "Writing ") + whole + " bytes " + (read ? "from " : "to ") + device + ", after "
                    + (last.isEmpty() ? "no kernel," : "kernel " + last + " as the last of several,"));
        }
        Reference.reachabilityFence(host);
    }

    /** Waits until the device has nothing left to do. */
    synchronized void finish() {
        Cl.check(CL.clFinish(queue), "clFinish on " + device + " after " + last);
        unflushed = 0;
        recycle();
    }
}
