package dev.jotune.kernel;

import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.RowLoop;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;

/** Reductions of any axes: brought to the end, then by columns or by rows, whichever reads memory in its order. */
final class Reductions {
    private static final Program ROW_SUM = Program.of(Expr.input(0).rowSum());
    private static final Program ROW_MAX = Program.of(Expr.input(0).rowMax());
    /** Rows that an item sums on its own; more are cut into parts first, so that a device with many items is busy. */
    private static final long COLUMN_ROWS = 512;

    private final DeviceBackend device;

    Reductions(DeviceBackend device) {
        this.device = device;
    }

    /** Reduces the axes along which {@code out} has another size than {@code x}; both have elements. */
    void run(Reduction op, Tensor x, Tensor out) {
        int[] order = new int[x.rank()];
        int kept = 0;
        for (int a = 0; a < x.rank(); a++) {
            if (out.size(a) == x.size(a)) {
                order[kept++] = a;
            }
        }
        if (kept == x.rank()) {
            device.copy(x, out);
            return;
        }
        int n = kept;
        for (int a = 0; a < x.rank(); a++) {
            if (out.size(a) != x.size(a)) {
                order[n++] = a;
            }
        }
        long[] shape = Arrays.copyOf(x.permute(order).shape(), kept + 1);
        shape[kept] = -1;
        Tensor to = out.permute(order);
        while (to.rank() > kept + 1) {
            to = to.squeeze(-1);
        }
        rows(op, x.permute(order).reshape(shape), to);
    }

    /** Reduces the last axis. */
    private void rows(Reduction op, Tensor x, Tensor out) {
        boolean columns = x.rank() > 1 && x.rank() <= 3 && x.stride(-1) != 1 && x.stride(-2) == 1 && x.size(-2) > 1;
        long count = x.size(-1);
        long parts = count / COLUMN_ROWS;
        if (!columns || x.rank() == 3 && parts > 1) {
            groupARow(op, x, out);
        } else if (x.rank() == 3) {
            columns(op, x, out, x.size(0), count, x.stride(0), out.stride(0));
        } else if (parts <= 1) {
            columns(op, x, out, 1, count, 0, 0);
        } else {
            long each = count / parts;
            boolean rest = each * parts < count;
            Tensor partial = Tensor.empty(device, DeviceBackend.arithmetic(x, out), parts + (rest ? 1 : 0), x.size(0));
            columns(op, x, partial.transpose(0, 1), parts, each, each * x.stride(-1), x.size(0));
            if (rest) {
                columns(op, x.slice(-1, each * parts, count), partial.slice(0, parts, parts + 1).transpose(0, 1), 1, count - each * parts, 0, 0);
            }
            rows(op, partial.transpose(0, 1), out);
            partial.storage().free();
        }
    }

    private void groupARow(Reduction op, Tensor x, Tensor out) {
        RowLoop loop = RowLoop.over(Arrays.copyOf(x.shape(), x.rank() - 1), false, x.select(-1, 0), out.select(-1, 0));
        if (loop.outerRank() > 1) {
            // So many axes that do not follow one another in memory are rare.
            device.run(op == Reduction.SUM ? ROW_SUM : ROW_MAX, DeviceBackend.arithmetic(x, out), new Tensor[] {x}, new Tensor[] {out});
            return;
        }
        boolean outer = loop.outerRank() == 1;
        long rows = loop.rows * loop.length;
        KernelSource kernel = PrimitiveTexts.reduceRows(x.dtype(), out.dtype(), op == Reduction.SUM);
        device.launch(kernel, device.groupsOf(rows), x, out, rows, loop.length, x.size(-1), outer ? loop.outerStride(0, 0) : 0, loop.step[0],
                x.stride(-1), outer ? loop.outerStride(1, 0) : 0, loop.step[1]);
    }

    private void columns(Reduction op, Tensor x, Tensor out, long outer, long count, long xOuter, long outOuter) {
        KernelSource kernel = device.sized(PrimitiveTexts.reduceColumns(x.dtype(), out.dtype(), op == Reduction.SUM));
        device.launch(kernel, device.groups(outer * x.size(-2), kernel), x, out, outer, count, x.size(-2), xOuter, x.stride(-1), x.stride(-2),
                outOuter, out.stride(-2));
    }
}
