package dev.jotune.opencl;

import dev.jotune.kernel.KernelTexts;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.testing.KernelConformance;
import dev.jotune.testing.conformance.Case;
import dev.jotune.testing.conformance.QuantCases;
import dev.jotune.testing.conformance.Twin;
import dev.jotune.testing.conformance.Twin.Layout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Every kernel once or twice on few elements, for a device that checks each access: a program of its own, since the driver is chosen
 * when a process starts. Ends with code 1 and says why if a result is wrong.
 */
final class SmallRun {
    private static final double TOLERANCE = 4e-6;
    private static final Backend REFERENCE = Backends.reference();
    private static final Expr X = Expr.input(0);
    /** Conformance cases that are small: each path of each fused kernel once. */
    private static final List<String> OPERATIONS = List.of("rmsNorm/33", "rmsNorm/frozen weight", "rmsNorm/frozen rows", "layerNorm/17",
            "addRmsNorm/7", "addLayerNorm/33", "adamW/33", "rotary/HALF 6", "rotary/part of INTERLEAVED 4", "scan/channels 33", "scan/steps 33",
            "scan/states 16", "topK/8 of 33", "topK/few different numbers", "vocabulary/capped", "vocabulary/hidden size 7",
            "vocabulary/hidden size 8", "sparse/rows of x 3");

    /** A few queries, and one query of several heads, which goes another way forward. */
    private static final List<String> ATTENTION = List.of("attention/head size 3 Sizes[b=1, h=2, g=2, t=5, d=3, dv=4]",
            "attention/decoding over 3 keys Sizes[b=2, h=4, g=2, t=1, d=16, dv=16]",
            "attention/bias with gradient Sizes[b=2, h=4, g=2, t=9, d=8, dv=8]");

    private final OpenClBackend b;

    private SmallRun(OpenClBackend b) {
        this.b = b;
    }

    /** Arguments: the name of a {@link Fault}, and a folder for compiled programs. */
    public static void main(String[] args) {
        Fault fault = Fault.valueOf(args[0]);
        OpenClBackend device = new OpenClBackend("opencl:0", DeviceInfo.all().getFirst(), Path.of(args[1]), fault);
        System.out.println("device: " + device.description());
        try (Scope scope = Scope.open()) {
            // A fault is looked for where it was planted; the other kernels need not run again for each.
            if (!fault.kernel().startsWith("attention")) {
                new SmallRun(device).all();
            }
            if (fault == Fault.NONE) {
                operations(device, OPERATIONS);
            }
            if (!fault.kernel().equals("gemm")) {
                operations(device, ATTENTION);
            }
            if (fault == Fault.NONE) {
                everyTextRan(device);
            }
        } catch (AssertionError e) {
            System.out.println("wrong: " + e.getMessage());
            System.exit(1);
        }
        System.out.println("right");
    }

    private void all() {
        matmul(5, 19, 33, Layout.DENSE, false);
        matmul(17, 3, 18, Layout.TRANSPOSED, true);
        matmul(1, 12, 40, Layout.DENSE, false);
        // In tiles: nothing divides by four, everything does.
        matmul(13, 35, 33, Layout.DENSE, false);
        matmul(12, 36, 40, Layout.TRANSPOSED, true);
        for (long rows : new long[] {1, 12}) {
            quantized(QuantCases.random(b, BlockFormat.Q4_K, 9, 256), rows);
            quantized(Nf4Matrix.quantize(Twin.normal(b, DType.F32, Layout.DENSE, 9, 9, 67).tested()), rows);
        }
        stacked();
        map(Program.of(X.times(Expr.input(1)).plus(1)), Layout.DENSE);
        map(Program.of(Formulas.SOFTMAX, X.times(Expr.input(1)).rowSum()), Layout.PITCHED);
        for (Reduction op : Reduction.values()) {
            reduce(op, 3, 1);
            reduce(op, 1, 7);
        }
        rows();
        copies();
        b.uniform(Tensor.empty(b, DType.F32, 9), 1, 2);
        b.normal(Tensor.empty(b, DType.F32, 9), 1, 2);
        b.argmax(Twin.normal(b, DType.F32, Layout.DENSE, 4, 3, 9).tested(), Tensor.empty(b, DType.I64, 3));
    }

    /** Fused kernels through their operations, forward and backward. */
    private static void operations(OpenClBackend device, List<String> names) {
        Set<String> missing = new HashSet<>(names);
        for (Case c : KernelConformance.cases()) {
            if (missing.remove(c.name())) {
                c.run(device);
            }
        }
        if (!missing.isEmpty()) {
            throw new AssertionError("there are no cases " + missing);
        }
    }

    /** So that no text is forgotten here that checks of resources know. */
    private static void everyTextRan(OpenClBackend device) {
        Set<String> missing = new TreeSet<>();
        KernelTexts.all().values().forEach(k -> missing.add(k.name()));
        device.programs().all().forEach(k -> missing.remove(k.source().name()));
        if (!missing.isEmpty()) {
            throw new AssertionError("nothing here launches " + missing + ". Add a small case of each.");
        }
    }

    private void matmul(long m, long n, long k, Layout layout, boolean accumulate) {
        Twin x = Twin.normal(b, DType.F32, layout, 1, m, k);
        Twin y = Twin.normal(b, DType.F32, layout, 2, k, n);
        multiply(x, y, Twin.normal(b, DType.F32, Layout.DENSE, 3, m, n), accumulate);
    }

    private void stacked() {
        Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 1, 2, 3, 4, 5);
        Twin heads = new Twin(x.tested().transpose(1, 2), x.reference().transpose(1, 2));
        multiply(heads, Twin.normal(b, DType.F32, Layout.DENSE, 2, 2, 4, 5, 3), Twin.normal(b, DType.F32, Layout.DENSE, 3, 2, 4, 3, 3), false);
    }

    private void multiply(Twin x, Twin y, Twin out, boolean accumulate) {
        b.matmul(x.tested(), y.tested(), out.tested(), accumulate);
        REFERENCE.matmul(x.reference(), y.reference(), out.reference(), accumulate);
        out.compare("matmul", TOLERANCE);
    }

    private void quantized(QuantizedMatrix w, long rows) {
        Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 1, rows, w.columns());
        Tensor wide = Dequantize.all(w, b, DType.F32);
        Tensor want = Tensor.empty(REFERENCE, DType.F64, rows, w.rows());
        REFERENCE.matmul(x.reference(), Tensor.of(REFERENCE, DType.F64, wide.toDoubleArray(), w.rows(), w.columns()).transpose(0, 1), want, false);
        Twin y = new Twin(Tensor.empty(b, DType.F32, rows, w.rows()), want);
        b.kernel(QuantizedProductKernel.class).orElseThrow().product(x.tested(), w, y.tested());
        y.compare("product with " + w, TOLERANCE);
    }

    private void map(Program p, Layout layout) {
        Twin[] in = {Twin.normal(b, DType.F32, layout, 5, 3, 7), Twin.normal(b, DType.F32, Layout.DENSE, 6, 3, 7)};
        Twin[] out = new Twin[p.outputCount()];
        for (int k = 0; k < out.length; k++) {
            out[k] = Twin.normal(b, DType.F32, Layout.DENSE, 7, 3, p.isRowConstant(p.output(k)) ? 1 : 7);
        }
        b.map(p, Arrays.stream(in).map(Twin::tested).toArray(Tensor[]::new), Arrays.stream(out).map(Twin::tested).toArray(Tensor[]::new));
        REFERENCE.map(p, Arrays.stream(in).map(Twin::reference).toArray(Tensor[]::new),
                Arrays.stream(out).map(Twin::reference).toArray(Tensor[]::new));
        for (Twin t : out) {
            t.compare("map", TOLERANCE);
        }
    }

    private void reduce(Reduction op, long... kept) {
        Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 8, 3, 7);
        Twin out = Twin.normal(b, DType.F32, Layout.DENSE, 9, kept);
        b.reduce(op, x.tested(), out.tested());
        REFERENCE.reduce(op, x.reference(), out.reference());
        out.compare("reduce " + op + " to " + Arrays.toString(kept), TOLERANCE);
    }

    private void rows() {
        Twin table = Twin.normal(b, DType.F32, Layout.DENSE, 10, 4, 5);
        Tensor ids = Tensor.of(b, new long[] {3, 0, 3}, 3);
        Twin out = Twin.normal(b, DType.F32, Layout.DENSE, 11, 3, 5);
        b.gather(table.tested(), ids, out.tested());
        REFERENCE.gather(table.reference(), ids.to(REFERENCE), out.reference());
        out.compare("gather", 0);
        b.scatterAdd(out.tested(), ids, table.tested());
        REFERENCE.scatterAdd(out.reference(), ids.to(REFERENCE), table.reference());
        table.compare("scatterAdd", TOLERANCE);
    }

    private void copies() {
        for (DType type : new DType[] {DType.F16, DType.BF16, DType.I64, DType.BOOL}) {
            Twin x = Twin.of(b, DType.F32, Layout.TRANSPOSED, i -> i % 2, 3, 5);
            new Twin(x.tested().to(type).transpose(0, 1).copy(), x.reference().transpose(0, 1)).compare("copy to " + type, 0);
        }
    }
}
