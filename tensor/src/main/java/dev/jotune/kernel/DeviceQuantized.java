package dev.jotune.kernel;

import dev.jotune.kernel.ProductTexts.Skinny;
import dev.jotune.kernel.ProductTexts.Tiled;
import dev.jotune.kernel.ProductTexts.Weight;
import dev.jotune.kernel.ProductTexts.Widened;
import dev.jotune.kernel.Products.Batch;
import dev.jotune.kernel.Products.Matrix;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.tensor.quant.SignMatrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;

/**
 * Quantised weights whose bytes lie in a device's memory, where {@code Backend.map} or quantising on it put them: products with
 * them, for any number of rows, and their rows widened. The bytes stay as they are stored.
 */
final class DeviceQuantized implements QuantizedProductKernel, DequantizeKernel {
    /** Stands for the order of rows that lie in order, which the kernel does not read. */
    private static final int[] NO_ORDER = {0};

    private final DeviceBackend device;
    /** The numbers that NF4's codes name, once they were needed. */
    private Tensor tables;
    /** Row orders on the device, as long as their matrix lives. */
    private final Map<int[], Tensor> orders = new WeakHashMap<>();

    DeviceQuantized(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public boolean supports(QuantizedMatrix weight, long rows) {
        return bytes(weight).backend() == device && weight.rows() <= Integer.MAX_VALUE && weight.columns() <= Integer.MAX_VALUE;
    }

    @Override
    public void product(Tensor x, QuantizedMatrix weight, Tensor y) {
        if (y.numel() == 0) {
            return;
        }
        if (weight.columns() == 0) {
            device.fill(y, 0);
            return;
        }
        long rows = x.size(0);
        Matrix a = new Matrix(x, 0, 0, Batch.ONE);
        Matrix out = new Matrix(y, 0, 2, Batch.ONE);
        // Formats of blocks have whole blocks; of the others, four numbers share a byte's place and a magnitude if rows are made of fours.
        boolean fours = weight.columns() % 4 == 0;
        boolean left = a.fours(true);
        KernelSource kernel;
        long groups;
        if (rows <= ProductTexts.SKINNY_ROWS) {
            kernel = new Skinny(DType.F32, DType.U8, DType.F32, Products.held(rows), fours && left, true, weight(weight)).source();
            groups = ProductTexts.skinnyGroups(weight.rows(), true);
        } else {
            Tile tile = device.products().tile(rows, weight.rows(), 1, Float.BYTES);
            kernel = new Tiled(DType.F32, DType.U8, DType.F32, tile, fours && left, true, true, weight(weight)).source();
            groups = tile.count(rows, weight.rows());
        }
        boolean outFours = out.fours(true);
        List<Object> arguments = new ArrayList<>(List.of(x, bytes(weight)));
        tensors(weight, arguments);
        arguments.addAll(List.of(y, rows, weight.rows(), weight.columns(), 1, 0, outFours ? 1 : 0));
        a.strides(arguments);
        out.strides(arguments);
        numbers(weight, arguments);
        device.launch(kernel, groups, arguments.toArray());
    }

    @Override
    public void dequantize(QuantizedMatrix matrix, long from, Tensor out) {
        if (!supports(matrix, out.size(0))) {
            matrix.dequantize(from, out);
            return;
        }
        if (out.numel() == 0) {
            return;
        }
        boolean fours = matrix.columns() % 4 == 0;
        KernelSource kernel = new Widened(weight(matrix), out.dtype(), fours).source();
        List<Object> arguments = new ArrayList<>(List.of(bytes(matrix)));
        tensors(matrix, arguments);
        arguments.addAll(List.of(out, from, out.size(0), matrix.columns()));
        numbers(matrix, arguments);
        device.launch(kernel, device.groups(out.numel() / (fours ? 4 : 1), kernel), arguments.toArray());
    }

    private static Weight weight(QuantizedMatrix m) {
        return switch (m) {
            case BlockMatrix b -> new Weight(b.blocks().name());
            case Nf4Matrix n -> new Weight(Weight.NF4);
            case SignMatrix s -> new Weight(Weight.SIGNS);
        };
    }

    private static Tensor bytes(QuantizedMatrix m) {
        return switch (m) {
            case BlockMatrix b -> b.stored();
            case Nf4Matrix n -> n.codes();
            case SignMatrix s -> s.bits();
        };
    }

    private void tensors(QuantizedMatrix m, List<Object> to) {
        if (m instanceof BlockMatrix b) {
            to.add(order(b.order().orElse(NO_ORDER)));
        } else if (m instanceof Nf4Matrix n) {
            to.addAll(List.of(n.magnitudes(), n.scales(), tables()));
        }
    }

    private static void numbers(QuantizedMatrix m, List<Object> to) {
        switch (m) {
            case BlockMatrix b -> to.addAll(List.of(b.blocks().rowBytes(b.columns()), b.order().isPresent() ? 1 : 0));
            case Nf4Matrix n -> to.addAll(List.of(0, n.mean()));
            case SignMatrix s -> to.add(SignMatrix.rowBytes(s.columns()));
        }
    }

    private synchronized Tensor order(int[] order) {
        return orders.computeIfAbsent(order, o -> {
            long[] wide = Arrays.stream(o).asLongStream().toArray();
            return Scope.detach(Tensor.of(device, wide, wide.length).to(DType.I32));
        });
    }

    private synchronized Tensor tables() {
        if (tables == null) {
            float[] quantiles = Nf4Matrix.quantiles();
            float[] all = Arrays.copyOf(quantiles, quantiles.length + Nf4Matrix.magnitudeCodes().length);
            System.arraycopy(Nf4Matrix.magnitudeCodes(), 0, all, quantiles.length, all.length - quantiles.length);
            tables = Scope.detach(Tensor.of(device, all, all.length));
        }
        return tables;
    }
}
