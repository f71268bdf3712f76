package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.jotune.kernel.DeviceStorage;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Descriptors by which the bulk copies of compute capability 9.0 (TMA) move boxes between device and shared memory; CUDA driver API,
 * Tensor Map Object Management. What of a box lies beyond the tensor arrives as zeros and is not stored.
 */
final class TensorMaps {
    /** Bytes of a descriptor, and what it must be aligned to. */
    private static final int BYTES = 128;
    private static final int ALIGNMENT = 64;
    private static final int MOST_AXES = 5;
    /** What the driver asks: elements of a box along an axis; bytes that divide addresses, strides and a box's rows. */
    private static final int MOST_BOX = 256;
    private static final int GRAIN = 16;
    /** Lines of the L2 cache that a copy brings along. */
    private static final int PROMOTE_256_BYTES = 3;
    /** {@code CU_TENSOR_MAP_DATA_TYPE_TFLOAT32}. */
    private static final int TF32 = 11;

    private TensorMaps() {}

    /** How a box's rows are permuted in shared memory, so that the lanes of a warp reading a column hit different banks. */
    enum Swizzle {
        NONE(256 * 16), BYTES_32(32), BYTES_64(64), BYTES_128(128);

        private final int rowBytes;

        Swizzle(int rowBytes) {
            this.rowBytes = rowBytes;
        }

        /** The most bytes that a box's row may have. */
        int rowBytes() {
            return rowBytes;
        }
    }

    /** A descriptor, to be passed for a parameter of a kernel. It keeps the tensor's memory reachable. */
    static final class Map {
        private final MemorySegment bytes;
        private final DeviceStorage<Handles.Block> memory;

        private Map(MemorySegment bytes, DeviceStorage<Handles.Block> memory) {
            this.bytes = bytes;
            this.memory = memory;
        }

        /** Where the descriptor lies on the host. */
        long address() {
            return bytes.address();
        }

        /** The tensor's memory. */
        DeviceStorage<Handles.Block> memory() {
            return memory;
        }
    }

    /**
     * Describes a matrix.
     *
     * @param boxRows rows that are copied at once
     * @param boxColumns columns that are copied at once
     */
    static Map of(Tensor t, int boxRows, int boxColumns, Swizzle swizzle) {
        return of(t, new int[] {boxRows, boxColumns}, swizzle);
    }

    /**
     * Describes a tensor whose last axis is dense.
     *
     * @param box elements that are copied at once along each axis of the tensor
     */
    static Map of(Tensor t, int[] box, Swizzle swizzle) {
        return of(t, box, swizzle, type(t));
    }

    /** The same for F32, which copies to shared memory round to TF32. */
    static Map rounded(Tensor t, int[] box, Swizzle swizzle) {
        if (t.dtype() != DType.F32) {
            throw new IllegalArgumentException(t + " cannot be rounded to TF32 on its way. Only F32 can.");
        }
        return of(t, box, swizzle, TF32);
    }

    private static Map of(Tensor t, int[] box, Swizzle swizzle, int type) {
        int rank = t.rank();
        int width = t.dtype().byteSize();
        DeviceStorage<Handles.Block> memory = DeviceStream.storage(t);
        long address = memory.block().address() + t.offset() * width;
        check(t, box, swizzle, address);
        Arena arena = Arena.ofAuto();
        MemorySegment map = arena.allocate(BYTES, ALIGNMENT);
        MemorySegment sizes = arena.allocate(JAVA_LONG, MOST_AXES);
        MemorySegment strides = arena.allocate(JAVA_LONG, MOST_AXES);
        MemorySegment boxes = arena.allocate(JAVA_INT, MOST_AXES);
        MemorySegment steps = arena.allocate(JAVA_INT, MOST_AXES);
        // CUDA names axes from the innermost on, and gives that one no stride.
        for (int i = 0; i < rank; i++) {
            int axis = rank - 1 - i;
            sizes.setAtIndex(JAVA_LONG, i, t.size(axis));
            boxes.setAtIndex(JAVA_INT, i, box[axis]);
            steps.setAtIndex(JAVA_INT, i, 1);
            if (i > 0) {
                strides.setAtIndex(JAVA_LONG, i - 1, t.stride(axis) * width);
            }
        }
        int status = Driver.encode(map, type, rank, address, sizes, strides, boxes, steps, swizzle.ordinal(), PROMOTE_256_BYTES);
        Cu.check(status, "Describing " + t + " in boxes of " + Arrays.toString(box) + " with swizzle " + swizzle);
        return new Map(map, memory);
    }

    /** Refuses what the driver would, and says why. */
    static void check(Tensor t, int[] box, Swizzle swizzle, long address) {
        int rank = t.rank();
        int width = t.dtype().byteSize();
        boolean shaped = rank >= 1 && rank <= MOST_AXES && box.length == rank && t.stride(rank - 1) == 1 && t.numel() > 0;
        boolean boxed = shaped && Arrays.stream(box).allMatch(n -> n >= 1 && n <= MOST_BOX) && box[rank - 1] * width % GRAIN == 0
                && box[rank - 1] * width <= swizzle.rowBytes();
        boolean aligned = shaped && address % GRAIN == 0;
        for (int axis = 0; aligned && axis < rank - 1; axis++) {
            aligned = t.stride(axis) * width % GRAIN == 0;
        }
        if (!boxed || !aligned) {
            throw new IllegalArgumentException(t + " with strides " + Arrays.toString(t.strides()) + " cannot be copied in boxes of "
                    + Arrays.toString(box) + " with swizzle " + swizzle + ". Its last axis must be dense, its address and the other "
                    + "strides multiples of " + GRAIN + " bytes; a box has 1 to " + MOST_BOX + " elements an axis and rows of a "
                    + "multiple of " + GRAIN + " bytes, at most " + swizzle.rowBytes() + ".");
        }
    }

    /** As {@code CUtensorMapDataType} numbers it. */
    private static int type(Tensor t) {
        return switch (t.dtype()) {
            case U8, I8, BOOL -> 0;
            case I32 -> 3;
            case I64 -> 5;
            case F16 -> 6;
            case F32 -> 7;
            case F64 -> 8;
            case BF16 -> 9;
        };
    }
}
