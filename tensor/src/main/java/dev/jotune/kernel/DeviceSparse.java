package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.SparsePattern;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.WeakHashMap;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Products with sparse matrices on a device: {@code sparse_product.cl} and {@code sparse_gradient.cl}. A pattern's places are brought
 * to the device once and stay there as long as the pattern lives.
 */
final class DeviceSparse implements SparseKernel {
    /** Items that share a number of the gradient: few, since most of them wait while the sums are joined. */
    private static final int GRADIENT_GROUP = 64;
    static final KernelSource PRODUCT = KernelSource.of(DeviceSparse.class, "sparse_product", List.of(Param.in("walk", DType.I32),
            Param.in("values", DType.F32), Param.in("x", DType.F32), Param.out("y", DType.F32), Param.int64("rows"), Param.int64("m"),
            Param.int64("numbers")), new TreeMap<>(), PrimitiveTexts.GROUP);
    static final KernelSource GRADIENT = KernelSource.of(DeviceSparse.class, "sparse_gradient", List.of(Param.in("places", DType.I32),
            Param.in("dy", DType.F32), Param.in("x", DType.F32), Param.out("y", DType.F32), Param.int64("numbers"), Param.int64("m")),
            new TreeMap<>(), GRADIENT_GROUP);

    private final DeviceBackend device;
    private final Map<SparsePattern, Tensor> walks = new WeakHashMap<>();
    private final Map<SparsePattern, Tensor> places = new WeakHashMap<>();

    DeviceSparse(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void product(SparsePattern pattern, Tensor values, Tensor x, Tensor y) {
        if (pattern.size() == 0 || y.numel() == 0) {
            device.fill(y, 0);
            return;
        }
        Tensor walk = kept(walks, pattern, DeviceSparse::walk);
        KernelSource kernel = device.sized(PRODUCT);
        device.launch(kernel, device.groups(y.numel(), kernel), walk, values, x, y, pattern.rows(), x.size(1), pattern.size());
    }

    @Override
    public void products(SparsePattern pattern, Tensor dy, Tensor x, Tensor out) {
        if (pattern.size() == 0 || x.size(1) == 0) {
            device.fill(out, 0);
            return;
        }
        Tensor at = kept(places, pattern, p -> LongStream.concat(LongStream.of(p.rowIds()), LongStream.of(p.columnIds())));
        device.launch(GRADIENT, device.groupsOf(pattern.size()), at, dy, x, out, pattern.size(), x.size(1));
    }

    private static LongStream walk(SparsePattern p) {
        IntStream starts = IntStream.rangeClosed(0, p.rows()).map(p::start);
        IntStream entries = IntStream.concat(IntStream.range(0, p.size()).map(p::column), IntStream.range(0, p.size()).map(p::entry));
        return IntStream.concat(starts, entries).asLongStream();
    }

    private synchronized Tensor kept(Map<SparsePattern, Tensor> all, SparsePattern pattern, Function<SparsePattern, LongStream> numbers) {
        return all.computeIfAbsent(pattern, p -> {
            long[] wide = numbers.apply(p).toArray();
            return Scope.detach(Tensor.of(device, wide, wide.length).to(DType.I32));
        });
    }
}
