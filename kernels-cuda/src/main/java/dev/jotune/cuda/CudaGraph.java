package dev.jotune.cuda;

import dev.jotune.kernel.DeviceMemory;
import dev.jotune.kernel.DeviceStorage;
import dev.jotune.kernel.MemoryReserve;
import java.util.List;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;

/**
 * Launches, fills and copies recorded once and repeated by one call of the driver, with the arguments and the memory that they had. What a
 * repetition shall do differently must therefore lie in device memory, which is written before. Memory that the work made for itself
 * stays reserved until this is closed; all other memory that it uses must live as long.
 */
final class CudaGraph implements AutoCloseable {
    private final DeviceStream device;
    private final CUgraphExec executable;
    private final MemoryReserve<Handles.Block> reserve;
    private final List<DeviceStorage<Handles.Block>> foreign;
    private final String title;
    private boolean closed;

    private CudaGraph(DeviceStream device, CUgraphExec executable, MemoryReserve<Handles.Block> reserve,
            List<DeviceStorage<Handles.Block>> foreign, String title) {
        this.device = device;
        this.executable = executable;
        this.reserve = reserve;
        this.foreign = foreign;
        this.title = title;
    }

    /**
     * Runs {@code work}, which is recorded instead of being done. It may not transfer, nor wait for the device. Its kernels are best loaded
     * before: have it done once.
     */
    static CudaGraph record(Context context, DeviceStream device, DeviceMemory<Handles.Block> memory, Runnable work) {
        ThreadState thread = context.enter();
        if (thread.recording != null) {
            throw new IllegalStateException("This thread is recording already. End that before recording more.");
        }
        // A stream of its own, so that other threads' work neither waits for the record nor becomes part of it.
        Handles.Stream stream = new Handles.Stream();
        Cu.check(JCudaDriver.cuStreamCreate(stream, DeviceStream.NON_BLOCKING), "cuStreamCreate for a record");
        MemoryReserve<Handles.Block> reserve = new MemoryReserve<>(memory);
        CUgraph graph = new CUgraph();
        Recording recording = new Recording(device, stream, reserve);
        try {
            Cu.check(JCudaDriver.cuStreamBeginCapture(stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED), "cuStreamBeginCapture");
            thread.recording = recording;
            int ended;
            try {
                work.run();
            } finally {
                thread.recording = null;
                ended = JCudaDriver.cuStreamEndCapture(stream, graph);
            }
            Cu.check(ended, "cuStreamEndCapture");
            long[] count = new long[1];
            Cu.check(JCudaDriver.cuGraphGetNodes(graph, null, count), "cuGraphGetNodes");
            CUgraphExec executable = new CUgraphExec();
            Cu.check(JCudaDriver.cuGraphInstantiate(executable, graph, 0), "cuGraphInstantiate of " + count[0] + " steps");
            return new CudaGraph(device, executable, reserve, recording.foreign(), "graph of " + count[0] + " steps");
        } catch (RuntimeException | Error e) {
            reserve.close();
            throw e;
        } finally {
            JCudaDriver.cuGraphDestroy(graph);
            Cu.check(JCudaDriver.cuStreamDestroy(stream), "cuStreamDestroy of a record");
        }
    }

    /** Enqueues everything that was recorded. */
    synchronized void replay() {
        if (closed) {
            throw new IllegalStateException("This record was closed. Record the work again.");
        }
        for (DeviceStorage<Handles.Block> s : foreign) {
            if (!s.isAlive()) {
                throw new IllegalStateException("Memory that the recorded work uses was freed when its scope closed. Call Scope.keep "
                        + "on what it uses.");
            }
        }
        device.enqueue(title, () -> JCudaDriver.cuGraphLaunch(executable, device.stream()));
    }

    /** How many steps there are. */
    String title() {
        return title;
    }

    /** Bytes that are reserved for what the work makes for itself. */
    long reservedBytes() {
        return reserve.bytes();
    }

    /** Waits for the last repetition and gives the memory back. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            device.finish();
            Cu.check(JCudaDriver.cuGraphExecDestroy(executable), "cuGraphExecDestroy");
            reserve.close();
        }
    }
}
