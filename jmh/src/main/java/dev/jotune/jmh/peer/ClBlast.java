package dev.jotune.jmh.peer;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * CLBlast's product {@code C[m,n] = A[m,k] B[n,k]^T} in F32 on an OpenCL device, with a context and a queue of its own: Debian has it
 * as libclblast1. It compiles its kernels when they are first used, with the parameters that it was built with for a device; what it
 * does not know gets a default.
 */
public final class ClBlast {
    private static final long ALL_DEVICES = 0xFFFFFFFFL;
    private static final long READ_WRITE = 1;
    private static final int DEVICE_NAME = 0x102B;
    private static final int NAME_BYTES = 1024;
    private static final int ROW_MAJOR = 101;
    private static final int NO_TRANSPOSE = 111;
    private static final int TRANSPOSE = 112;

    private final SymbolLookup openCl = SymbolLookup.libraryLookup("libOpenCL.so.1", Arena.global());
    private final SymbolLookup clBlast = SymbolLookup.libraryLookup("libclblast.so.1", Arena.global());
    private final MethodHandle sgemm = function(clBlast, "CLBlastSgemm", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG,
            JAVA_LONG, JAVA_LONG, JAVA_FLOAT, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_FLOAT, ADDRESS, JAVA_LONG, JAVA_LONG,
            ADDRESS, ADDRESS));
    private final MethodHandle finish = function(openCl, "clFinish", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    private final MethodHandle createBuffer = function(openCl, "clCreateBuffer",
            FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS));
    private final MethodHandle write = transfer("clEnqueueWriteBuffer");
    private final MethodHandle read = transfer("clEnqueueReadBuffer");
    private final MemorySegment context;
    private final MemorySegment queue;

    private ClBlast(String deviceName) throws Throwable {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment device = arena.allocateFrom(ADDRESS, device(deviceName, arena));
            MemorySegment status = arena.allocate(JAVA_INT);
            MethodHandle createContext = function(openCl, "clCreateContext",
                    FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS));
            context = (MemorySegment) createContext.invokeExact(MemorySegment.NULL, 1, device, MemorySegment.NULL, MemorySegment.NULL, status);
            check(status.get(JAVA_INT, 0), "clCreateContext");
            MethodHandle createQueue = function(openCl, "clCreateCommandQueue", FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS));
            queue = (MemorySegment) createQueue.invokeExact(context, device.get(ADDRESS, 0), 0L, status);
            check(status.get(JAVA_INT, 0), "clCreateCommandQueue");
        }
    }

    /**
     * CLBlast on the device whose name is part of {@code description}; empty if the library is not there.
     *
     * @throws IllegalStateException if it is there and cannot work
     */
    public static Optional<ClBlast> on(String description) {
        try {
            SymbolLookup.libraryLookup("libclblast.so.1", Arena.global());
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
        try {
            return Optional.of(new ClBlast(description));
        } catch (Throwable e) {
            throw failed("the start of CLBlast", e);
        }
    }

    private MemorySegment device(String description, Arena arena) throws Throwable {
        MethodHandle platforms = function(openCl, "clGetPlatformIDs", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
        MethodHandle devices = function(openCl, "clGetDeviceIDs", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS));
        MethodHandle info = function(openCl, "clGetDeviceInfo", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS));
        int most = 16;
        MemorySegment ids = arena.allocate(ADDRESS, most);
        MemorySegment found = arena.allocate(ADDRESS, most);
        MemorySegment count = arena.allocate(JAVA_INT);
        MemorySegment name = arena.allocate(NAME_BYTES);
        check((int) platforms.invokeExact(most, ids, count), "clGetPlatformIDs");
        for (int p = 0; p < Math.min(most, count.get(JAVA_INT, 0)); p++) {
            MemorySegment devicesOf = arena.allocate(JAVA_INT);
            if ((int) devices.invokeExact(ids.getAtIndex(ADDRESS, p), ALL_DEVICES, most, found, devicesOf) == 0) {
                for (int d = 0; d < Math.min(most, devicesOf.get(JAVA_INT, 0)); d++) {
                    MemorySegment device = found.getAtIndex(ADDRESS, d);
                    check((int) info.invokeExact(device, DEVICE_NAME, (long) NAME_BYTES, name, MemorySegment.NULL), "clGetDeviceInfo");
                    if (description.contains(name.getString(0, StandardCharsets.UTF_8).strip())) {
                        return device;
                    }
                }
            }
        }
        throw new IllegalStateException("no OpenCL device is called as '" + description + "' says. Measure one that 'jotune devices' lists.");
    }

    /** Operands and result on the device, and the product of them. */
    public final class Product {
        private final int m;
        private final int n;
        private final int k;
        private final MemorySegment a;
        private final MemorySegment b;
        private final MemorySegment c;

        private Product(int m, int n, int k, float[] left, float[] right) throws Throwable {
            this.m = m;
            this.n = n;
            this.k = k;
            a = buffer(left);
            b = buffer(right);
            c = buffer(new float[m * n]);
        }

        /** Asks for the product and waits until it is there. */
        public void run() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment to = arena.allocateFrom(ADDRESS, queue);
                check((int) sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, (long) m, (long) n, (long) k, 1f, a, 0L, (long) k, b, 0L,
                        (long) k, 0f, c, 0L, (long) n, to, MemorySegment.NULL), "CLBlastSgemm");
                check((int) finish.invokeExact(queue), "clFinish");
            } catch (Throwable e) {
                throw failed("CLBlast's product", e);
            }
        }

        /** The result. */
        public float[] result() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment host = arena.allocate(JAVA_FLOAT, (long) m * n);
                check((int) read.invokeExact(queue, c, 1, 0L, host.byteSize(), host, 0, MemorySegment.NULL,
                        MemorySegment.NULL), "clEnqueueReadBuffer");
                return host.toArray(JAVA_FLOAT);
            } catch (Throwable e) {
                throw failed("reading CLBlast's product", e);
            }
        }
    }

    /** A product of copies of row-major {@code a [m, k]} and {@code b [n, k]}. */
    public Product product(int m, int n, int k, float[] a, float[] b) {
        try {
            return new Product(m, n, k, a, b);
        } catch (Throwable e) {
            throw failed("bringing operands to the device", e);
        }
    }

    private MemorySegment buffer(float[] values) throws Throwable {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(JAVA_INT);
            long bytes = (long) Float.BYTES * values.length;
            MemorySegment buffer = (MemorySegment) createBuffer.invokeExact(context, READ_WRITE, bytes, MemorySegment.NULL, status);
            check(status.get(JAVA_INT, 0), "clCreateBuffer");
            check((int) write.invokeExact(queue, buffer, 1, 0L, bytes, arena.allocateFrom(JAVA_FLOAT, values), 0, MemorySegment.NULL,
                    MemorySegment.NULL), "clEnqueueWriteBuffer");
            return buffer;
        }
    }

    private MethodHandle transfer(String name) {
        return function(openCl, name, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_INT, ADDRESS,
                ADDRESS));
    }

    private static MethodHandle function(SymbolLookup library, String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type);
    }

    private static void check(int status, String what) {
        if (status != 0) {
            throw new IllegalStateException(what + " failed with " + status + ". CL/cl.h and clblast_c.h say what the number means.");
        }
    }

    private static IllegalStateException failed(String what, Throwable e) {
        return e instanceof IllegalStateException s ? s : new IllegalStateException(what + " failed", e);
    }
}
