package dev.jotune.cuda;

import jcuda.driver.CUcontext;
import jcuda.driver.JCudaDriver;

/**
 * A device's primary context, which libraries of one process share; kept until the process ends. Every call of the driver needs it to be
 * current on its thread: {@link #enter} before each is nearly free after the first.
 */
final class Context {
    private final CUcontext handle = new CUcontext();

    Context(DeviceInfo device, String name) {
        Cu.check(JCudaDriver.cuDevicePrimaryCtxRetain(handle, device.id()), "cuDevicePrimaryCtxRetain on " + name);
    }

    /** Makes this context current, and answers what the thread has. */
    ThreadState enter() {
        ThreadState thread = ThreadState.get();
        if (thread.context != this) {
            Cu.check(JCudaDriver.cuCtxSetCurrent(handle), "cuCtxSetCurrent");
            thread.context = this;
        }
        return thread;
    }
}
