package dev.jotune.cuda;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A decode step of one or more texts as one launch: everything that differs between steps lies in device memory, so that a step is recorded
 * once and repeated.
 */
final class CudaDecode implements DecodeKernel {
    /** Features of a head that a warp's lanes hold, and numbers of queries and sums that an item does. */
    private static final int MOST_SIZE = 256;
    private static final int MOST_HELD = 128;
    /** What CUDA allows a grid along y and z. */
    private static final int MOST_ROWS = 65_535;

    private final CudaBackend device;

    CudaDecode(CudaBackend device) {
        this.device = device;
    }

    @Override
    public Optional<String> obstacle(Use use) {
        if (device.chip() < CudaSource.Chip.SM80.capability()) {
            return Optional.of(device.name() + " is older than compute capability 8.0");
        }
        return use.rows() <= MOST_ROWS ? Optional.empty() : Optional.of("steps are for " + MOST_ROWS + " texts at most");
    }

    @Override
    public Optional<String> obstacle(Model m) {
        int share = m.heads() / m.groups();
        if (m.layers().isEmpty()) {
            return Optional.of("the model has no layers");
        }
        if (m.heads() % m.groups() != 0 || m.headDim() > MOST_SIZE || 2 * share * ((m.headDim() + 31) / 32) > MOST_HELD) {
            return Optional.of(share + " heads of queries of " + m.headDim() + " features to one of keys are too many for a group's registers");
        }
        if (m.rotary() % 2 != 0 || m.rotary() > m.headDim()) {
            return Optional.of(m.rotary() + " of a head's " + m.headDim() + " features cannot be turned in halves");
        }
        if (m.layers().stream().anyMatch(l -> l.queryNorm().isPresent() != l.keyNorm().isPresent())) {
            return Optional.of("only one of queries and keys is normalised");
        }
        return Stream.concat(Stream.of(new Linear(m.embedding(), Optional.empty()), m.head()), m.layers().stream().flatMap(l -> l.maps().stream()))
                .map(this::obstacle).flatMap(Optional::stream).findFirst()
                .or(() -> m.layers().stream().flatMap(l -> l.prefixes().stream()).flatMap(p -> Stream.of(p.keys(), p.values()))
                        .filter(t -> !isRows(t) || t.size(0) != 1).findFirst().map(t -> "the prefix " + t + " is not one of F32 rows on the device"))
                .or(() -> m.layers().stream().flatMap(l -> l.prefixes().stream()).filter(p -> !areAlike(p)).findFirst()
                        .map(p -> "a prefix's keys lie otherwise than its values"));
    }

    private Optional<String> obstacle(Linear l) {
        Weight w = l.weight();
        if (w.quantized().isPresent()) {
            QuantizedProductKernel kernel = device.kernel(QuantizedProductKernel.class).orElseThrow();
            if (!kernel.supports(w.quantized().get(), 1)) {
                return Optional.of("a weight of " + w.quantized().get().format() + " does not lie on the device");
            }
        } else if (!reads(w.dense().orElseThrow())) {
            return Optional.of("the weight " + w.dense().get() + " is not a dense one of F32, BF16 or F16 on the device");
        }
        return l.terms().stream().flatMap(t -> Stream.of(t.down(), t.up())).filter(t -> !isRows(t)).findFirst()
                .map(t -> "the low-rank factor " + t + " is not of F32 rows on the device");
    }

    private boolean reads(Tensor t) {
        return t.backend() == device && t.isContiguous() && (t.dtype() == DType.F32 || t.dtype() == DType.BF16 || t.dtype() == DType.F16);
    }

    private boolean isRows(Tensor t) {
        return t.backend() == device && t.dtype() == DType.F32 && t.stride(t.rank() - 1) == 1;
    }

    private static boolean areAlike(Prefix p) {
        return p.keys().stride(1) == p.values().stride(1) && p.keys().stride(2) == p.values().stride(2);
    }

    @Override
    public Steps prepare(Model model, int rows) {
        return new DecodeSteps(device, model, rows);
    }
}
