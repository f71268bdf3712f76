package dev.jotune.jmh;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.autograd.ops.TopK;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.SparsePattern;
import dev.jotune.tensor.random.Philox;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** Kernels of one backend on the shapes of a small model, through the calls that the tape makes. */
final class DeviceOps {
    private static final long ROWS = 2048;
    private static final long SIZE = 1024;
    private static final long HEADS = 16;
    private static final long BATCH = 4;
    private static final long STATES = 16;
    private static final long TOKENS = 32000;
    private static final int BEST = 50;
    private static final long SEQUENCE = 256;
    private static final long CLASSES = 4096;
    /** One number of so many is not zero. */
    private static final long ONE_OF = 100;
    private static final double EPS = 1e-5;

    private final Backend backend;
    private final Tensor x;
    private final Tensor y;
    private final Tensor z;
    private final MemorySegment one = Arena.ofAuto().allocate(Float.BYTES);
    private long stream;

    DeviceOps(Backend backend) {
        this.backend = backend;
        x = noise(ROWS, SIZE);
        y = noise(ROWS, SIZE);
        z = noise(ROWS, SIZE);
    }

    private Tensor noise(long... shape) {
        Tensor t = Tensor.empty(backend, DType.F32, shape);
        backend.normal(t, 1, stream++);
        return t;
    }

    /** Waits until the backend has done what it was asked for: reading is what waits. */
    void finish() {
        backend.read(x.reshape(-1).slice(0, 0, 1), one);
    }

    /** One call of a kernel. */
    Runnable operation(String name) {
        return switch (name) {
            case "rms_norm", "add_layer_norm", "rms_norm_backward", "layer_norm_backward" -> norm(name);
            case "rotary" -> {
                RotaryKernel rotary = backend.kernel(RotaryKernel.class).orElseThrow();
                long[] shape = {BATCH, ROWS / BATCH, HEADS, SIZE / HEADS};
                Tensor angles = noise(1, ROWS / BATCH, SIZE / HEADS / 2);
                yield () -> rotary.rotate(x.reshape(shape).transpose(1, 2), angles, angles, false, false, y.reshape(shape).transpose(1, 2));
            }
            case "adamw" -> {
                AdamWKernel adamw = backend.kernel(AdamWKernel.class).orElseThrow();
                Tensor first = Tensor.zeros(backend, DType.F32, ROWS, SIZE);
                Tensor second = Tensor.zeros(backend, DType.F32, ROWS, SIZE);
                yield () -> adamw.step(y, z, first, second, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1);
            }
            case "scan", "scan_backward" -> scan(name.equals("scan"));
            case "top_k" -> {
                Tensor logits = noise(BATCH, TOKENS);
                yield () -> TopK.of(logits, BEST);
            }
            case "argmax" -> {
                Tensor places = Tensor.empty(backend, DType.I64, ROWS);
                yield () -> backend.argmax(x, places);
            }
            case "gather", "scatter_add" -> rows(name.equals("gather"));
            case "losses" -> {
                Var hidden = Var.constant(noise(SEQUENCE, SIZE));
                Var weight = Var.constant(noise(CLASSES, SIZE));
                Tensor labels = Tensor.of(backend, new long[(int) SEQUENCE], SEQUENCE);
                yield () -> LinearCrossEntropy.apply(hidden, weight, labels);
            }
            case "sparse" -> {
                SparseKernel sparse = backend.kernel(SparseKernel.class).orElseThrow();
                long[] rowOf = new long[(int) (SIZE * SIZE / ONE_OF)];
                long[] columnOf = new long[rowOf.length];
                Arrays.setAll(rowOf, i -> Philox.nextInt(1, 0, i, (int) SIZE));
                Arrays.setAll(columnOf, i -> Philox.nextInt(1, 1, i, (int) SIZE));
                SparsePattern pattern = SparsePattern.of(SIZE, SIZE, rowOf, columnOf);
                Tensor values = noise(rowOf.length);
                yield () -> sparse.product(pattern, values, x.reshape(SIZE, ROWS), y.reshape(SIZE, ROWS));
            }
            case "attention", "attention_both_ways" -> attention(name.equals("attention"));
            case "uniform" -> () -> backend.uniform(y, 1, 2);
            case "normal" -> () -> backend.normal(y, 1, 2);
            default -> throw new IllegalArgumentException("There is no operation '" + name + "'. Look at the cases of DeviceOps.");
        };
    }

    private Runnable norm(String name) {
        NormKernel norm = backend.kernel(NormKernel.class).orElseThrow();
        Tensor weight = noise(SIZE);
        Tensor bias = noise(SIZE);
        Tensor mean = noise(ROWS);
        Tensor scale = noise(ROWS);
        Tensor out = noise(ROWS, SIZE);
        Optional<Tensor> dx = Optional.of(out);
        Optional<Tensor> dWeight = like(weight);
        Optional<Tensor> dBias = like(bias);
        return switch (name) {
            case "rms_norm" -> () -> norm.rmsNorm(x, weight, EPS, out);
            case "add_layer_norm" -> () -> norm.addLayerNorm(x, y, weight, bias, EPS, z, out, mean, scale);
            case "rms_norm_backward" -> () -> norm.rmsNormBackward(x, weight, EPS, y, Optional.empty(), dx, dWeight);
            default -> () -> norm.layerNormBackward(x, weight, mean, scale, y, Optional.of(z), dx, dWeight, dBias);
        };
    }

    /** Causal, one sequence. */
    private Runnable attention(boolean forward) {
        long[] shape = {1, HEADS, SEQUENCE, SIZE / HEADS};
        List<Var> in = List.of(Var.parameter(noise(shape)), Var.parameter(noise(shape)), Var.parameter(noise(shape)));
        Supplier<Var> out = () -> Attention.attend(in.get(0), List.of(new Attention.Segment(in.get(1), in.get(2), Attention.Visible.causal(0))),
                1 / Math.sqrt(SIZE / HEADS), 0).out();
        return forward ? () -> Recording.off(out) : () -> Gradients.of(out.get().sum(), in);
    }

    private Runnable scan(boolean forward) {
        ScanKernel scan = backend.kernel(ScanKernel.class).orElseThrow();
        long time = ROWS / BATCH;
        Tensor a = noise(SIZE, STATES);
        backend.fill(a, -1);
        ScanKernel.Problem p = new ScanKernel.Problem(x.reshape(BATCH, time, SIZE), Tensor.full(backend, DType.F32, 0.1, BATCH, time, SIZE), a,
                noise(BATCH, time, STATES), noise(BATCH, time, STATES), noise(SIZE), noise(BATCH, SIZE, STATES));
        Tensor out = y.reshape(BATCH, time, SIZE);
        Tensor last = noise(BATCH, SIZE, STATES);
        Tensor kept = noise(BATCH, (time + ScanKernel.CHUNK - 1) / ScanKernel.CHUNK, SIZE, STATES);
        if (forward) {
            return () -> scan.forward(p, out, last, Optional.of(kept));
        }
        ScanKernel.Targets targets = new ScanKernel.Targets(like(p.x()), like(p.dt()), like(p.a()), like(p.b()), like(p.c()), like(p.d()),
                like(p.state()));
        scan.forward(p, out, last, Optional.of(kept));
        return () -> scan.backward(p, kept, out, last, targets);
    }

    private Optional<Tensor> like(Tensor t) {
        return Optional.of(Tensor.empty(backend, DType.F32, t.shape()));
    }

    private Runnable rows(boolean gather) {
        Tensor table = noise(TOKENS, SIZE);
        long[] v = new long[(int) ROWS];
        Arrays.setAll(v, i -> i * 7919L % TOKENS / 8);
        Tensor ids = Tensor.of(backend, v, ROWS);
        return gather ? () -> backend.gather(table, ids, y) : () -> backend.scatterAdd(x, ids, table);
    }

    /** Runs the operation several times and frees what it made. */
    void run(Runnable operation, int times) {
        try (Scope scope = Scope.open()) {
            for (int i = 0; i < times; i++) {
                operation.run();
            }
            finish();
        }
    }
}
