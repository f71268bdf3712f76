package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Arguments as a launch wants them: an array of pointers, each to a value. The pointers are written once, to slots of eight bytes; a
 * launch then only stores its values, and nothing is allocated. Descriptors of tensors are pointed to where they lie.
 */
final class ArgumentBlock {
    /** CUDA lets the parameters of a kernel take 4 KiB. */
    private static final int SLOTS = 512;
    /** Bytes of a {@code CUlaunchConfig}, and where its fields are. */
    private static final int CONFIGURATION = 56;
    private static final int SHARED_AT = 24;
    private static final int STREAM_AT = 32;
    private static final int ATTRIBUTES_AT = 40;
    private static final int COUNT_AT = 48;
    /** Bytes of a {@code CUlaunchAttribute}: what it is, padding, and a value of 64 bytes behind. */
    private static final int ATTRIBUTE = 72;
    private static final int VALUE_AT = 8;
    private static final int CLUSTER_DIMENSION = 4;

    private final MemorySegment values;
    private final MemorySegment pointers;
    private final MemorySegment configuration;
    private int used;
    private boolean redirected;

    ArgumentBlock() {
        Arena arena = Arena.ofAuto();
        values = arena.allocate(SLOTS * Long.BYTES, Long.BYTES);
        pointers = arena.allocate(SLOTS * Long.BYTES, Long.BYTES);
        configuration = arena.allocate(CONFIGURATION + ATTRIBUTE, Long.BYTES);
        for (int i = 0; i < SLOTS; i++) {
            point(i, values.address() + (long) i * Long.BYTES);
        }
    }

    private void point(int slot, long address) {
        pointers.setAtIndex(JAVA_LONG, slot, address);
    }

    /**
     * Lays out the arguments of a launch: for a buffer its address and its offset in elements, for a number itself.
     *
     * @param blocks answers where tensors lie
     */
    void set(CompiledKernel kernel, Blocks blocks, Object... arguments) {
        if (arguments.length != kernel.source().params().size()) {
            throw new IllegalArgumentException("Kernel " + kernel.title() + " has " + kernel.source().params().size() + " parameters, got "
                    + arguments.length + " arguments. Pass one for each.");
        }
        if (redirected) {
            for (int i = 0; i < used; i++) {
                point(i, values.address() + (long) i * Long.BYTES);
            }
            redirected = false;
        }
        boolean wide = kernel.source().arithmetic() == DType.F64;
        int slot = 0;
        int i = 0;
        for (Param p : kernel.source().params()) {
            Object value = arguments[i++];
            if (slot + 2 > SLOTS) {
                throw new IllegalArgumentException("Kernel " + kernel.title() + " has parameters for more than " + SLOTS + " values. Pass fewer.");
            }
            try {
                switch (p) {
                    case Param.Buffer b -> {
                        Tensor t = (Tensor) value;
                        values.setAtIndex(JAVA_LONG, slot++, blocks.address(t));
                        values.setAtIndex(JAVA_LONG, slot++, t.offset());
                    }
                    case Param.Int n -> values.set(JAVA_INT, (long) slot++ * Long.BYTES, ((Number) value).intValue());
                    case Param.Long n -> values.setAtIndex(JAVA_LONG, slot++, ((Number) value).longValue());
                    case Param.Real r when wide -> values.setAtIndex(JAVA_DOUBLE, slot++, ((Number) value).doubleValue());
                    case Param.Real r -> values.set(JAVA_FLOAT, (long) slot++ * Long.BYTES, ((Number) value).floatValue());
                    case Param.TensorMap m -> {
                        point(slot++, blocks.address((TensorMaps.Map) value));
                        redirected = true;
                    }
                }
            } catch (ClassCastException e) {
                throw new IllegalArgumentException("Kernel " + kernel.title() + " cannot take " + value + " for its parameter " + p
                        + ". Pass a tensor, a number or a tensor map, as the parameter says.", e);
            }
        }
        used = slot;
    }

    /** Answers where tensors and descriptors lie, or refuses those that lie elsewhere. */
    interface Blocks {
        long address(Tensor t);

        long address(TensorMaps.Map m);
    }

    /** Where the pointers lie. */
    long address() {
        return pointers.address();
    }

    /** A {@code CUlaunchConfig} with clusters along x, and where it lies. */
    long configuration(int x, int y, int z, int group, int shared, long stream, int cluster) {
        configuration.fill((byte) 0);
        int[] sizes = {x, y, z, group, 1, 1};
        MemorySegment.copy(sizes, 0, configuration, JAVA_INT, 0, sizes.length);
        configuration.set(JAVA_INT, SHARED_AT, shared);
        configuration.set(JAVA_LONG, STREAM_AT, stream);
        configuration.set(JAVA_LONG, ATTRIBUTES_AT, configuration.address() + CONFIGURATION);
        configuration.set(JAVA_INT, COUNT_AT, 1);
        configuration.set(JAVA_INT, CONFIGURATION, CLUSTER_DIMENSION);
        int[] dimension = {cluster, 1, 1};
        MemorySegment.copy(dimension, 0, configuration, JAVA_INT, CONFIGURATION + VALUE_AT, dimension.length);
        return configuration.address();
    }

    /** The bytes that the pointer of an argument leads to, as a driver would copy them. */
    byte[] bytes(int argument, int count) {
        MemorySegment at = MemorySegment.ofAddress(pointers.getAtIndex(JAVA_LONG, argument)).reinterpret(count);
        return at.toArray(JAVA_BYTE);
    }
}
