package dev.jotune.jmh.gpu;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuDriverGetVersion;
import static jcuda.driver.JCudaDriver.cuInit;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/** JCuda against the driver that is there. */
final class CudaProbe {
    static final int VALUES = 256;

    private final Path kernels;
    private final CUdevice device = new CUdevice();
    final Stream stream = new Stream();
    final Memory memory = new Memory();

    /** JCuda's handles with the driver's own numbers, which {@code java.lang.foreign} needs. */
    static final class Function extends CUfunction {
        private static final long serialVersionUID = 1;

        long raw() {
            return getNativePointer();
        }
    }

    /** As {@link Function}. */
    static final class Stream extends CUstream {
        private static final long serialVersionUID = 1;

        long raw() {
            return getNativePointer();
        }
    }

    /** As {@link Function}. */
    static final class Memory extends CUdeviceptr {
        private static final long serialVersionUID = 1;

        long raw() {
            return getNativePointer();
        }
    }

    private CudaProbe(Path kernels) {
        this.kernels = kernels;
    }

    static void run(Probe probe, Path kernels) {
        CudaProbe p = new CudaProbe(kernels);
        probe.ask("JCuda: does it start against this driver, and what does the device have?", p::open);
        probe.ask("JCuda: does a cubin load and compute?", () -> p.module(p.cubin()));
        probe.ask("JCuda: does PTX 7.0 for compute 8.0 load and compute, and what does its compilation take?", () -> p.module("probe-sm_80.ptx"));
        probe.ask("JCuda: does PTX 8.0 for compute 9.0a load and compute?", () -> p.module("probe-sm_90a.ptx"));
        LaunchProbe launches = new LaunchProbe(p);
        probe.ask("Events: what does an empty kernel take?", launches::events);
        probe.ask("What does a launch cost the caller: JCuda, java.lang.foreign, a graph of 100?", launches::costs);
        HopperProbe hopper = new HopperProbe(p);
        probe.ask("64 KB of static shared memory without asking for it?", hopper::staticShared);
        probe.ask("Clusters of two from the kernel's text, launched plainly?", hopper::clusters);
        probe.ask("cuTensorMapEncodeTiled through java.lang.foreign, and a box copied by it?", hopper::tensorMap);
        probe.ask("What does the driver take to compile the embedded PTX?", p::embedded);
    }

    /** One kernel that writes behind its buffer, and one that races. */
    static void faults(Path kernels) throws IOException {
        CudaProbe p = new CudaProbe(kernels);
        p.open();
        CUdeviceptr small = new CUdeviceptr();
        cuMemAlloc(small, 4L * VALUES);
        cuLaunchKernel(p.function(p.cubin(), "race"), 1, 1, 1, 64, 1, 1, 0, p.stream, Pointer.to(Pointer.to(small)), null);
        cuLaunchKernel(p.function(p.cubin(), "out_of_bounds"), 1, 1, 1, VALUES, 1, 1, 0, p.stream,
                Pointer.to(Pointer.to(small), Pointer.to(new int[] {VALUES})), null);
        cuStreamSynchronize(p.stream);
    }

    private String open() {
        JCudaDriver.setExceptionsEnabled(true);
        cuInit(0);
        cuDeviceGet(device, 0);
        CUcontext context = new CUcontext();
        cuDevicePrimaryCtxRetain(context, device);
        cuCtxSetCurrent(context);
        cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING);
        cuMemAlloc(memory, 1 << 20);
        byte[] name = new byte[256];
        cuDeviceGetName(name, name.length, device);
        int[] version = new int[1];
        cuDriverGetVersion(version);
        long[] free = new long[1];
        long[] all = new long[1];
        cuMemGetInfo(free, all);
        return new String(name, StandardCharsets.UTF_8).replaceAll("\0.*", "") + ", compute " + capability() / 10 + "." + capability() % 10
                + ", driver API " + version[0] + ", " + attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
                + " multiprocessors, second-level cache "
                + attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE) + ", shared memory of a group "
                + attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN) + ", " + (free[0] >> 20) + " of "
                + (all[0] >> 20) + " MiB free";
    }

    private int attribute(int what) {
        int[] value = new int[1];
        cuDeviceGetAttribute(value, what, device);
        return value[0];
    }

    /** Major times ten plus minor. */
    private int capability() {
        return 10 * attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                + attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    }

    /** The one whose machine code the device runs. */
    String cubin() {
        return capability() == 90 ? "probe-sm_90a.cubin" : "probe-sm_80.cubin";
    }

    Function function(String file, String name) throws IOException {
        Path path = kernels.resolve(file);
        if (!Files.exists(path)) {
            throw new IOException("no " + file + " was packed: there was no nvcc");
        }
        CUmodule module = new CUmodule();
        // PTX is a text that ends with 0.
        byte[] bytes = Files.readAllBytes(path);
        cuModuleLoadData(module, file.endsWith(".ptx") ? Arrays.copyOf(bytes, bytes.length + 1) : bytes);
        Function function = new Function();
        cuModuleGetFunction(function, module, name);
        return function;
    }

    /** 0, 1, 2, ... */
    static float[] counted(int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = i;
        }
        return x;
    }

    private String module(String file) throws IOException {
        long start = System.nanoTime();
        Function addOne = function(file, "add_one");
        double millis = (System.nanoTime() - start) / 1e6;
        float[] x = counted(VALUES);
        cuMemcpyHtoD(memory, Pointer.to(x), 4L * VALUES);
        cuLaunchKernel(addOne, 2, 1, 1, VALUES / 2, 1, 1, 0, stream, Pointer.to(Pointer.to(memory), Pointer.to(new int[] {VALUES})), null);
        cuStreamSynchronize(stream);
        cuMemcpyDtoH(Pointer.to(x), memory, 4L * VALUES);
        for (int i = 0; i < VALUES; i++) {
            if (x[i] != i + 1) {
                return "loads in " + Goal.plain(millis) + " ms, but value " + i + " became " + x[i];
            }
        }
        return "yes, loaded in " + Goal.plain(millis) + " ms";
    }

    /** Every PTX among the project's resources, and what loading it takes; run.sh switches the driver's own cache off. */
    private String embedded() throws IOException {
        List<Path> all;
        Path folder = kernels.resolve("embedded");
        if (!Files.isDirectory(folder)) {
            return "none was packed";
        }
        try (java.util.stream.Stream<Path> files = Files.walk(folder)) {
            all = files.filter(f -> f.toString().endsWith(".ptx")).sorted().toList();
        }
        int loaded = 0;
        StringBuilder refused = new StringBuilder();
        long start = System.nanoTime();
        for (Path file : all) {
            byte[] bytes = Files.readAllBytes(file);
            try {
                cuModuleLoadData(new CUmodule(), Arrays.copyOf(bytes, bytes.length + 1));
                loaded++;
            } catch (jcuda.CudaException e) {
                refused.append("; ").append(file.getFileName()).append(": ").append(e.getMessage());
            }
        }
        cuCtxSynchronize();
        return loaded + " of " + all.size() + " texts loaded in " + Goal.plain((System.nanoTime() - start) / 1e6) + " ms" + refused;
    }
}
