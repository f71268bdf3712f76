package dev.jotune.cuda;

import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/** JCuda's handles with their numbers to be seen, so that its calls and those by {@code java.lang.foreign} can share them. */
final class Handles {
    private Handles() {}

    /** Memory of a device. */
    static final class Block extends CUdeviceptr {
        private static final long serialVersionUID = 1;

        long address() {
            return getNativePointer();
        }
    }

    /** A kernel. */
    static final class Function extends CUfunction {
        private static final long serialVersionUID = 1;

        long address() {
            return getNativePointer();
        }
    }

    /** A queue of the driver. */
    static final class Stream extends CUstream {
        private static final long serialVersionUID = 1;

        long address() {
            return getNativePointer();
        }
    }

    /** Memory of the host. */
    static final class Host extends Pointer {
        private static final long serialVersionUID = 1;

        /** To be filled in by the driver. */
        Host() {}

        Host(long address) {
            super(address);
        }

        long address() {
            return getNativePointer();
        }
    }
}
