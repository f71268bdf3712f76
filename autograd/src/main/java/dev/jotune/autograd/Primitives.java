package dev.jotune.autograd;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/** The operations that are not element-wise, each with its derivative as operations on {@link Var}. */
final class Primitives {
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));

    private Primitives() {}

    private static Var unary(String op, Var x, Tensor out, UnaryOperator<Var> vjp) {
        return Node.record1(op, new Var[] {x}, out, Reads.NOTHING, (up, needed) -> new Var[] {vjp.apply(up[0])});
    }

    /** An operation that is cheap to do again: a view, or a copy. */
    private static Var view(String op, Var x, UnaryOperator<Tensor> f, UnaryOperator<Var> vjp) {
        return Node.record1(op, new Var[] {x}, f.apply(x.tensor()), Reads.NOTHING.again(() -> f.apply(x.tensor())),
                (up, needed) -> new Var[] {vjp.apply(up[0])});
    }

    // ---- views ----

    static Var reshape(Var x, long... shape) {
        return view("reshape", x, t -> t.reshape(shape), g -> g.reshape(x.shape()));
    }

    static Var permute(Var x, int... order) {
        int[] inverse = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            inverse[Shape.axis(order[i], order.length)] = i;
        }
        return view("permute", x, t -> t.permute(order), g -> g.permute(inverse));
    }

    static Var transpose(Var x, int a, int b) {
        return view("transpose", x, t -> t.transpose(a, b), g -> g.transpose(a, b));
    }

    static Var expand(Var x, long... shape) {
        if (Arrays.equals(shape, x.shape())) {
            return x;
        }
        return view("expand", x, t -> t.expand(shape), g -> g.sumTo(x.shape()));
    }

    static Var slice(Var x, int axis, long from, long to) {
        if (from == 0 && to == x.size(axis)) {
            return x;
        }
        return view("slice", x, t -> t.slice(axis, from, to), g -> pad(g, axis, from, x.size(axis)));
    }

    /** Zeros around {@code x} so that it becomes elements {@code from ..} of an axis of size {@code size}. */
    static Var pad(Var x, int axis, long from, long size) {
        long[] shape = x.shape();
        shape[Shape.axis(axis, shape.length)] = size;
        Tensor out = Tensor.zeros(x.backend(), Types.of(x), shape);
        out.slice(axis, from, from + x.size(axis)).copyFrom(x.tensor());
        return unary("pad", x, out, g -> g.slice(axis, from, from + x.size(axis)));
    }

    static Var unfold(Var x, int axis, long size, long step, long dilation) {
        return unary("unfold", x, x.tensor().unfold(axis, size, step, dilation),
                g -> fold(g, Shape.axis(axis, x.rank()), x.shape(), step, dilation));
    }

    /** The adjoint of {@link #unfold}: every element of {@code shape} is the sum of its copies in the windows. */
    private static Var fold(Var windows, int axis, long[] shape, long step, long dilation) {
        long size = windows.size(-1);
        Tensor out = Tensor.zeros(windows.backend(), Types.of(windows), shape);
        Tensor view = out.unfold(axis, size, step, dilation);
        if (step >= (size - 1) * dilation + 1) {
            view.copyFrom(windows.tensor());
        } else {
            for (long k = 0; k < size; k++) {
                Tensor part = view.select(-1, k);
                windows.backend().map(SUM, new Tensor[] {part, windows.tensor().select(-1, k)}, new Tensor[] {part});
            }
        }
        return unary("fold", windows, out, g -> unfold(g, axis, size, step, dilation));
    }

    static Var concat(int axis, Var... parts) {
        if (parts.length == 1) {
            return parts[0];
        }
        Backend backend = Types.backend("concat", parts);
        int a = Shape.axis(axis, parts[0].rank());
        long[] shape = parts[0].shape();
        shape[a] = 0;
        for (Var p : parts) {
            long[] s = p.shape();
            for (int i = 0; i < Math.max(s.length, shape.length); i++) {
                if (s.length != shape.length || i != a && s[i] != shape[i]) {
                    throw new IllegalArgumentException("concat along axis " + a + ": shapes "
                            + Arrays.toString(parts[0].shape()) + " and " + Arrays.toString(s) + " differ elsewhere");
                }
            }
            shape[a] += s[a];
        }
        Tensor out = Tensor.empty(backend, Types.of(parts), shape);
        long at = 0;
        for (Var p : parts) {
            out.slice(a, at, at + p.size(a)).copyFrom(p.tensor());
            at += p.size(a);
        }
        return Node.record1("concat", parts, out, Reads.NOTHING, (up, needed) -> {
            Var[] g = new Var[parts.length];
            long from = 0;
            for (int i = 0; i < g.length; i++) {
                g[i] = up[0].slice(a, from, from + parts[i].size(a));
                from += parts[i].size(a);
            }
            return g;
        });
    }

    static Var cast(Var x, DType type) {
        if (type == x.dtype()) {
            return x;
        }
        if (!type.isFloating()) {
            throw new IllegalArgumentException("a value cannot be cast to " + type
                    + ": only floating types carry gradients");
        }
        return view("cast", x, t -> t.to(type), g -> cast(g, Types.compute(x.dtype())));
    }

    // ---- reductions ----

    static Var sum(Var x, int... axes) {
        long[] kept = x.shape();
        boolean[] gone = new boolean[kept.length];
        for (int axis : axes) {
            int a = Shape.axis(axis, kept.length);
            kept[a] = 1;
            gone[a] = true;
        }
        long[] shape = new long[kept.length];
        int n = 0;
        for (int i = 0; i < kept.length; i++) {
            if (!gone[i]) {
                shape[n++] = kept[i];
            }
        }
        return reduce(x, kept).reshape(Arrays.copyOf(shape, n));
    }

    static Var sumTo(Var x, long... shape) {
        if (Arrays.equals(shape, x.shape())) {
            return x;
        }
        long[] from = x.shape();
        long[] kept = from.clone();
        int lead = from.length - shape.length;
        for (int i = 0; i < from.length; i++) {
            long want = i < lead ? 1 : shape[i - lead];
            if (want != from[i] && want != 1) {
                throw new IllegalArgumentException("shape " + Arrays.toString(from) + " does not sum to "
                        + Arrays.toString(shape));
            }
            kept[i] = want;
        }
        Var r = reduce(x, kept);
        return lead > 0 ? r.reshape(shape) : r;
    }

    /** Sums the axes that have size 1 in {@code kept}, which stay. */
    private static Var reduce(Var x, long[] kept) {
        if (Arrays.equals(kept, x.shape())) {
            return x;
        }
        Tensor out = Tensor.empty(x.backend(), Types.of(x), kept);
        x.backend().reduce(Reduction.SUM, x.tensor(), out);
        return unary("sum", x, out, g -> g.expandTo(x.shape()));
    }

    // ---- products ----

    static Var matmul(Var a, Var b) {
        if (a.rank() < 2 || b.rank() < 2 || a.size(-1) != b.size(-2)) {
            throw new IllegalArgumentException("matmul needs [.., M, K] and [.., K, N], got "
                    + Arrays.toString(a.shape())
                    + " and " + Arrays.toString(b.shape()));
        }
        Backend backend = Types.backend("matmul", a, b);
        long[] batch = Shape.broadcast(Arrays.copyOf(a.shape(), a.rank() - 2), Arrays.copyOf(b.shape(), b.rank() - 2));
        long[] shape = with(batch, a.size(-2), b.size(-1));
        Tensor out = Tensor.empty(backend, Types.of(a, b), shape);
        backend.matmul(a.tensor().expand(with(batch, a.size(-2), a.size(-1))),
                b.tensor().expand(with(batch, b.size(-2), b.size(-1))), out, false);
        Reads reads = Reads.mask((b.requiresGrad() ? 1 : 0) | (a.requiresGrad() ? 2 : 0));
        return Node.record1("matmul", new Var[] {a, b}, out, reads, (up, needed) -> new Var[] {
            needed[0] ? up[0].matmul(b.transpose(-1, -2)).sumTo(a.shape()) : null,
            needed[1] ? a.transpose(-1, -2).matmul(up[0]).sumTo(b.shape()) : null});
    }

    private static long[] with(long[] batch, long rows, long columns) {
        long[] s = Arrays.copyOf(batch, batch.length + 2);
        s[batch.length] = rows;
        s[batch.length + 1] = columns;
        return s;
    }

    // ---- rows of tables ----

    static Var gather(Var table, Tensor ids) {
        long[] shape = Arrays.copyOf(ids.shape(), ids.rank() + 1);
        shape[ids.rank()] = table.size(1);
        Tensor dense = ids.contiguous();
        Tensor out = Tensor.empty(table.backend(), Types.of(table), shape);
        table.backend().gather(table.tensor(), dense, out);
        return unary("gather", table, out, g -> scatterAdd(g, dense, table.size(0)));
    }

    static Var scatterAdd(Var rows, Tensor ids, long tableRows) {
        Tensor out = Tensor.zeros(rows.backend(), Types.of(rows), tableRows, rows.size(-1));
        rows.backend().scatterAdd(rows.tensor().contiguous(), ids, out);
        return unary("scatter_add", rows, out, g -> gather(g, ids));
    }
}
