package dev.jotune.cuda;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import jcuda.driver.CUdevice;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * One device, as its driver describes it.
 *
 * @param capability compute capability, major times ten plus minor
 * @param units multiprocessors
 * @param memory bytes
 * @param shared bytes of shared memory that one group may have
 * @param driver the CUDA version that the driver understands, major times 1000 plus minor times ten
 */
record DeviceInfo(CUdevice id, String name, int capability, int units, long memory, int shared, int driver) {
    private static final double GIB = 1L << 30;
    private static final int NAME_BYTES = 256;
    /** The first with tensor maps, and with every function that is called: one that a driver lacks would end the process. */
    private static final int OLDEST = 12_000;

    /**
     * Every device, in the driver's order.
     *
     * @throws CudaException if the driver answers with an error or is too old
     * @throws LinkageError if there is no driver
     */
    static List<DeviceInfo> all() {
        Driver.load();
        int status = JCudaDriver.cuInit(0);
        if (status == CUresult.CUDA_ERROR_NO_DEVICE) {
            return List.of();
        }
        Cu.check(status, "cuInit");
        int[] number = new int[1];
        Cu.check(JCudaDriver.cuDriverGetVersion(number), "cuDriverGetVersion");
        int driver = requireVersion(number[0]);
        Cu.check(JCudaDriver.cuDeviceGetCount(number), "cuDeviceGetCount");
        List<DeviceInfo> all = new ArrayList<>();
        for (int i = 0; i < number[0]; i++) {
            CUdevice id = new CUdevice();
            Cu.check(JCudaDriver.cuDeviceGet(id, i), "cuDeviceGet of device " + i);
            byte[] name = new byte[NAME_BYTES];
            Cu.check(JCudaDriver.cuDeviceGetName(name, name.length, id), "cuDeviceGetName of device " + i);
            long[] bytes = new long[1];
            Cu.check(JCudaDriver.cuDeviceTotalMem(bytes, id), "cuDeviceTotalMem of device " + i);
            int capability = 10 * attribute(id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                    + attribute(id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
            all.add(new DeviceInfo(id, text(name), capability, attribute(id, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), bytes[0],
                    attribute(id, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), driver));
        }
        return all;
    }

    /**
     * Refuses drivers that lack functions.
     *
     * @param driver as in {@link #driver}
     * @return the same
     * @throws CudaException if it is too old
     */
    static int requireVersion(int driver) {
        if (driver < OLDEST) {
            throw new CudaException("the driver understands CUDA " + version(driver) + ", and " + version(OLDEST)
                    + " is the least. Update it to version 525 or later.");
        }
        return driver;
    }

    private static int attribute(CUdevice id, int which) {
        int[] value = new int[1];
        Cu.check(JCudaDriver.cuDeviceGetAttribute(value, which, id), "cuDeviceGetAttribute " + which);
        return value[0];
    }

    /** Up to the closing zero. */
    private static String text(byte[] bytes) {
        int n = 0;
        while (n < bytes.length && bytes[n] != 0) {
            n++;
        }
        return new String(bytes, 0, n, StandardCharsets.UTF_8).strip();
    }

    String description() {
        return name + " (GPU, compute capability " + capability / 10 + "." + capability % 10 + ", " + units + " units, "
                + String.format(Locale.ROOT, "%.1f", memory / GIB) + " GiB, driver for CUDA " + version() + ")";
    }

    /** Of CUDA, as the driver understands it. */
    String version() {
        return version(driver);
    }

    private static String version(int driver) {
        return driver / 1000 + "." + driver % 1000 / 10;
    }
}
