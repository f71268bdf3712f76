package dev.jotune.kernel;

import dev.jotune.kernel.ProductTexts.Vocabulary;
import dev.jotune.kernel.Products.Batch;
import dev.jotune.kernel.Products.Matrix;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.VocabularyKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Losses of a vocabulary product whose logits stay in registers: {@code vocabulary.cl}. */
final class DeviceVocabulary implements VocabularyKernel {
    private static final Set<DType> TYPES = Set.of(DType.F32, DType.BF16, DType.F16);
    /** So that places a tile further are 32-bit numbers too. */
    private static final long MOST = 1 << 30;
    /** Groups for each unit of the device, at least: then units that are done early find more. */
    private static final long GROUPS_PER_UNIT = 8;
    /** Joins the log-sum-exps of a row's parts. */
    private static final Program JOIN = Program.of(join(Expr.input(0)));

    private final DeviceBackend device;

    DeviceVocabulary(DeviceBackend device) {
        this.device = device;
    }

    private static Expr join(Expr parts) {
        Expr largest = parts.rowMax();
        return parts.minus(largest).exp().rowSum().log().plus(largest);
    }

    /** Few rows are a question of reading the weight, which a product of few rows does better; their logits are little beside it. */
    @Override
    public boolean supports(Tensor hidden, Tensor weight) {
        return hidden.backend() == device && weight.backend() == device && TYPES.contains(hidden.dtype()) && TYPES.contains(weight.dtype())
                && hidden.size(0) > ProductTexts.SKINNY_ROWS && hidden.size(0) <= MOST && weight.size(0) > 0 && weight.size(0) <= MOST
                && weight.size(1) > 0 && weight.size(1) <= MOST;
    }

    @Override
    public void losses(Tensor hidden, Tensor weight, Tensor labels, double softcap, Tensor lse, Tensor target) {
        long rows = hidden.size(0);
        long columns = weight.size(0);
        long inner = hidden.size(1);
        Matrix a = new Matrix(hidden, 0, 0, Batch.ONE);
        Matrix b = new Matrix(weight.transpose(0, 1), 0, 1, Batch.ONE);
        boolean aInner = a.columnStride() <= a.rowStride();
        boolean bInner = b.rowStride() <= b.columnStride();
        boolean vector = a.fours(aInner) && b.fours(!bInner);
        Tile tile = device.products().tileBySize(rows, columns, Float.BYTES);
        long tiles = tile.count(rows, 1);
        long splits = Math.clamp((GROUPS_PER_UNIT * device.units() + tiles - 1) / tiles, 1, tile.count(1, columns));
        KernelSource kernel = new Vocabulary(hidden.dtype(), weight.dtype(), tile, vector, aInner, bInner, softcap > 0).source();
        Tensor parts = splits == 1 ? lse : Tensor.empty(device, DType.F32, rows, splits);
        List<Object> arguments = new ArrayList<>(List.of(hidden, weight, labels, parts, target, rows, columns, inner, splits, a.rowStride(),
                a.columnStride(), b.rowStride(), b.columnStride()));
        if (softcap > 0) {
            arguments.add(softcap);
        }
        device.launch(kernel, tiles * splits, arguments.toArray());
        if (splits > 1) {
            device.map(JOIN, new Tensor[] {parts}, new Tensor[] {lse.reshape(rows, 1)});
            parts.storage().free();
        }
    }
}
