package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import dev.jotune.tensor.expr.Program;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Element-wise programs, row reductions and positions. */
final class MapCases {
    private static final Expr X = Expr.input(0);
    private static final Expr Y = Expr.input(1);
    private static final Expr ROW = Expr.rowInput(2);
    private static final Expr SHIFTED = X.minus(X.rowMax());
    private static final double TOLERANCE = 4e-6;
    private static final double[] SPECIAL = {0, -0.0, 1, -1, 88.5, 100, -88, -104, 1e30, -1e30, 1e-30, 0.5, -0.5, 2.5, 20,
        Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN};

    private MapCases() {}

    static void add(List<Case> all) {
        for (UnaryOp op : UnaryOp.values()) {
            all.add(new Case("map/" + op, b -> unary(b, op)));
            if (op != UnaryOp.SIN && op != UnaryOp.COS) {
                all.add(new Case("map/" + op + " of special values", b -> special(b, op)));
            }
        }
        for (BinaryOp op : BinaryOp.values()) {
            all.add(new Case("map/" + op, b -> binary(b, op)));
        }
        rows().forEach((name, e) -> all.add(new Case("map/" + name, b -> rows(b, e))));
        all.add(new Case("map/several outputs", MapCases::outputs));
        all.add(new Case("map/stretched operands", MapCases::stretched));
        all.add(new Case("map/layouts", MapCases::layouts));
        all.add(new Case("map/types", MapCases::types));
        all.add(new Case("map/empty rows", MapCases::empty));
        all.add(new Case("map/masked softmax", MapCases::masked));
        all.add(new Case("map/long rows", b -> run(b, SHIFTED.exp().over(SHIFTED.exp().rowSum()), 5000, 3)));
        all.add(new Case("map/many rows", b -> run(b, X.times(X.times(X).rowSum().plus(1).rsqrt()), 5, 3000)));
        all.add(new Case("map/no inputs", MapCases::constants));
    }

    private static Map<String, Expr> rows() {
        Map<String, Expr> all = new LinkedHashMap<>();
        Expr sum = X.times(Y).rowSum();
        all.put("softmax", SHIFTED.exp().over(SHIFTED.exp().rowSum()));
        all.put("row maximum and sum used by elements", X.minus(X.rowMax()).times(sum));
        all.put("position", new Expr.Iota().times(X).plus(new Expr.Iota().eq(ROW)));
        all.put("sum of row values", X.times(ROW.rowSum()));
        all.put("reduction of a reduction", X.minus(sum).times(X.minus(sum)).rowSum().plus(X));
        all.put("select", Expr.select(X.lt(Y), X.times(Y), Expr.select(Y.gt(Expr.of(0)), ROW, Y)));
        all.put("select of numbers", Expr.select(X.gt(ROW), Expr.of(2), Expr.of(-3)));
        all.put("row select", Expr.select(sum.gt(Expr.of(0)), X, Y.rowMax()));
        all.put("row value of positions", new Expr.Iota().ge(Expr.of(0)).rowSum().times(X));
        all.put("polynomial", X.times(X).times(X).times(0.1).plus(X.times(Y)).plus(Y.pow(Expr.of(2))).minus(ROW));
        return all;
    }

    private static void unary(Backend b, UnaryOp op) {
        boolean positive = switch (op) {
            case LOG, LOG1P, SQRT, RSQRT, RECIPROCAL -> true;
            default -> false;
        };
        for (long n : BackendConformance.SIZES) {
            Twin x = positive ? Twin.uniform(b, DType.F32, Layout.DENSE, 1, 0.1, 8, n)
                    : Twin.uniform(b, DType.F32, Layout.DENSE, 1, -8, 8, n);
            run(b, Program.of(new Expr.Unary(op, X)), op + " of " + n, new Twin[] {x}, n);
        }
    }

    private static void special(Backend b, UnaryOp op) {
        Twin x = Twin.of(b, DType.F32, Layout.DENSE, i -> SPECIAL[(int) i], SPECIAL.length);
        Twin out = Twin.normal(b, DType.F32, Layout.DENSE, 9, SPECIAL.length);
        Program p = Program.of(new Expr.Unary(op, X));
        b.map(p, new Tensor[] {x.tested()}, new Tensor[] {out.tested()});
        Backends.reference().map(p, new Tensor[] {x.reference()}, new Tensor[] {out.reference()});
        double[] got = out.tested().toDoubleArray();
        double[] want = out.reference().toDoubleArray();
        for (int i = 0; i < got.length; i++) {
            float w = (float) want[i];
            boolean same = got[i] == w || Float.isNaN(w) && Double.isNaN(got[i]) || Math.abs(got[i] - w) <= TOLERANCE * Math.abs(w)
                    || Math.abs(w) < 1.2e-38 && Math.abs(got[i]) < 1.2e-38;
            if (!same) {
                throw new AssertionError(op + " of " + SPECIAL[i] + " is " + got[i] + ", expected " + w);
            }
        }
    }

    private static void binary(Backend b, BinaryOp op) {
        double low = op == BinaryOp.POW || op == BinaryOp.DIV ? 0.2 : -3;
        for (long n : BackendConformance.SIZES) {
            // Sixteenths, so that some are equal.
            Twin x = Twin.of(b, DType.F32, Layout.DENSE, i -> Math.max(low, i * 5 % 48 / 16.0 - (low < 0 ? 1.5 : 0)), n);
            Twin y = Twin.of(b, DType.F32, Layout.DENSE, i -> Math.max(low, i * 7 % 48 / 16.0 - (low < 0 ? 1.5 : 0)), n);
            run(b, Program.of(new Expr.Binary(op, X, Y)), op + " of " + n, new Twin[] {x, y}, n);
            run(b, Program.of(new Expr.Binary(op, X, Expr.of(1.25))), op + " and number, of " + n, new Twin[] {x}, n);
            run(b, Program.of(new Expr.Binary(op, Expr.of(1.25), X)), op + " of number, of " + n, new Twin[] {x}, n);
        }
    }

    private static void rows(Backend b, Expr e) {
        for (long n : BackendConformance.SIZES) {
            run(b, e, n, 3);
        }
    }

    private static void run(Backend b, Expr e, long n, long count) {
        Twin[] in = {Twin.normal(b, DType.F32, Layout.DENSE, 2, count, n), Twin.normal(b, DType.F32, Layout.DENSE, 3, count, n),
            Twin.of(b, DType.F32, Layout.DENSE, i -> i % 2, count, 1)};
        Program p = Program.of(e);
        run(b, p, "rows of " + n, Arrays.copyOf(in, p.inputCount()), count, n);
        if (p.needsRows()) {
            run(b, Program.of(e.rowSum()), "sum of rows of " + n, Arrays.copyOf(in, p.inputCount()), count, 1);
        }
    }

    private static void outputs(Backend b) {
        for (long n : BackendConformance.SIZES) {
            Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 4, 3, n);
            Twin y = Twin.normal(b, DType.F32, Layout.DENSE, 5, 3, n);
            Twin[] out = {Twin.normal(b, DType.F32, Layout.DENSE, 6, 3, n), Twin.normal(b, DType.F32, Layout.DENSE, 7, 3, 1),
                Twin.normal(b, DType.F32, Layout.PITCHED, 8, 3, n)};
            run(b, Program.of(X.times(Y), X.times(Y).rowSum(), X), "rows of " + n, new Twin[] {x, y}, out);
        }
    }

    private static void stretched(Backend b) {
        long[][][] shapes = {{{3, 5}, {5}}, {{5}, {3, 5}}, {{3, 1}, {1, 5}}, {{}, {17}}, {{2, 1, 17}, {3, 1}}, {{4, 1, 1}, {1, 3, 9}},
            {{3, 5}, {1}}, {{1}, {1}}, {{2, 3, 1}, {2, 3, 8}}};
        for (long[][] s : shapes) {
            Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 10, s[0]);
            Twin y = Twin.normal(b, DType.F32, Layout.DENSE, 11, s[1]);
            long[] shape = dev.jotune.tensor.Shape.broadcast(s[0], s[1]);
            run(b, Program.of(X.minus(Y.times(2))), x.tested() + " and " + y.tested(), new Twin[] {x, y}, shape);
            run(b, Program.of(X.minus(Y.rowMax())), "rows of " + x.tested() + " and " + y.tested(), new Twin[] {x, y}, shape);
        }
    }

    private static void layouts(Backend b) {
        for (long[] shape : new long[][] {{3, 17}, {2, 3, 8}, {16, 1}, {1, 33}, {2, 2, 3, 5}}) {
            for (Layout in : Layout.values()) {
                for (Layout out : Layout.values()) {
                    if (Twin.writable(out)) {
                        Twin[] inputs = {Twin.normal(b, DType.F32, in, 12, shape), Twin.normal(b, DType.F32, Layout.DENSE, 13, shape)};
                        Twin[] outputs = {Twin.normal(b, DType.F32, out, 14, shape)};
                        double[] before = outputs[0].memory();
                        run(b, Program.of(X.times(Y).plus(1)), in + " to " + out, inputs, outputs);
                        run(b, Program.of(X.times(Y.rowSum())), "rows " + in + " to " + out, inputs, outputs);
                        outputs[0].checkSurroundings(in + " to " + out, before);
                    }
                }
            }
        }
    }

    private static void types(Backend b) {
        for (DType type : DType.values()) {
            Twin x = Twin.of(b, type, Layout.DENSE, i -> i * 3 % 7, 3, 17);
            Twin y = Twin.normal(b, DType.F32, Layout.DENSE, 15, 3, 17);
            run(b, Program.of(Expr.select(X, Y, X.plus(Y).plus(1))), type + " operand", new Twin[] {x, y}, 3, 17);
            run(b, Program.of(X.rowSum().times(Y)), type + " operand in rows", new Twin[] {x, y}, 3, 17);
        }
    }

    private static void empty(Backend b) {
        Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 16, 3, 0);
        run(b, Program.of(X.times(2)), "elements", new Twin[] {x}, 3, 0);
        Twin[] out = {Twin.normal(b, DType.F32, Layout.DENSE, 17, 3, 1), Twin.normal(b, DType.F32, Layout.DENSE, 18, 3, 1)};
        run(b, Program.of(X.rowSum(), X.rowMax()), "rows", new Twin[] {x}, out);
        run(b, Program.of(X.times(X.rowSum())), "no rows", new Twin[] {Twin.normal(b, DType.F32, Layout.DENSE, 16, 0, 4)}, 0, 4);
    }

    private static void masked(Backend b) {
        Twin x = Twin.of(b, DType.F32, Layout.DENSE, i -> i * 7 % 3 == 0 ? Double.NEGATIVE_INFINITY : i * 11 % 13 / 3.0, 4, 19);
        Expr some = SHIFTED.exp().over(SHIFTED.exp().rowSum());
        run(b, Program.of(some), "softmax with -infinity", new Twin[] {x}, 4, 19);
        Expr grad = Y.minus(Y.times(some).rowSum()).times(some);
        run(b, Program.of(grad), "its derivative", new Twin[] {x, Twin.normal(b, DType.F32, Layout.DENSE, 19, 4, 19)}, 4, 19);
    }

    private static void constants(Backend b) {
        run(b, Program.of(Expr.of(2.5)), "a number", new Twin[0], 3, 5);
        run(b, Program.of(new Expr.Iota().times(2)), "positions", new Twin[0], 3, 17);
    }

    private static void run(Backend b, Program p, String what, Twin[] inputs, long... shape) {
        run(b, p, what, inputs, new Twin[] {Twin.normal(b, DType.F32, Layout.DENSE, 20, shape)});
    }

    private static void run(Backend b, Program p, String what, Twin[] inputs, Twin[] outputs) {
        b.map(p, Arrays.stream(inputs).map(Twin::tested).toArray(Tensor[]::new),
                Arrays.stream(outputs).map(Twin::tested).toArray(Tensor[]::new));
        Backends.reference().map(p, Arrays.stream(inputs).map(Twin::reference).toArray(Tensor[]::new),
                Arrays.stream(outputs).map(Twin::reference).toArray(Tensor[]::new));
        for (Twin out : outputs) {
            out.compare(what, TOLERANCE);
        }
    }
}
