package dev.jotune.tensor.cpu;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.RowProduct;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;

/**
 * The extensions that work here, in the order in which they were found. {@code -Djotune.extensions=off} leaves them all
 * out.
 *
 * @param working what may be asked
 * @param notes   why extensions are left out or offer less than they could
 */
record Extensions(List<CpuExtension> working, List<String> notes) {
    /** Holder: loaded with the first use of the CPU backend. */
    private static final class Found {
        static final Extensions ALL = load(System.getProperty("jotune.extensions", "on"));
    }

    static Extensions all() {
        return Found.ALL;
    }

    /**
     * Looks for extensions.
     *
     * @throws IllegalArgumentException if the setting is neither on nor off
     */
    static Extensions load(String setting) {
        if (setting.equals("off")) {
            return new Extensions(List.of(), List.of("extensions are switched off by jotune.extensions"));
        }
        if (!setting.equals("on")) {
            throw new IllegalArgumentException("The property jotune.extensions is '" + setting + "'. Set it to on or off.");
        }
        return of(ServiceLoader.load(CpuExtension.class, CpuExtension.class.getClassLoader()));
    }

    static Extensions of(Iterable<CpuExtension> found) {
        List<CpuExtension> working = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        for (CpuExtension e : found) {
            if (e.isAvailable()) {
                working.add(e);
            }
            if (!e.note().isEmpty()) {
                notes.add(e.isAvailable() ? e.note() : "no " + e.description() + ": " + e.note());
            }
        }
        return new Extensions(List.copyOf(working), List.copyOf(notes));
    }

    <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        for (CpuExtension e : working) {
            Optional<K> kernel = e.kernel(kind);
            if (kernel.isPresent()) {
                return kernel;
            }
        }
        return Optional.empty();
    }

    /** The product of single rows with a quantised weight: an extension's if one has it, or the Vector API's. */
    RowProduct rows(QuantizedMatrix weight) {
        if (weight instanceof BlockMatrix m) {
            for (CpuExtension e : working) {
                Optional<RowProduct> coded = e.rows(m.blocks()).flatMap(code -> RowProduct.of(m, code));
                if (coded.isPresent()) {
                    return coded.get();
                }
            }
        }
        return RowProduct.of(weight);
    }

    /** Whether one of them did the product; see {@link CpuExtension#matmul}. */
    boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        for (CpuExtension e : working) {
            if (e.matmul(m, n, k, a, b, c, crs, add)) {
                return true;
            }
        }
        return false;
    }

    /** For people: what works, with a separator before each. */
    String description() {
        StringBuilder text = new StringBuilder();
        for (CpuExtension e : working) {
            text.append("; ").append(e.description());
        }
        return text.toString();
    }

    String note() {
        return String.join("; ", notes);
    }
}
