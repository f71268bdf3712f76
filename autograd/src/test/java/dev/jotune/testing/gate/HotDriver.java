package dev.jotune.testing.gate;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.testing.KernelConformance;
import dev.jotune.testing.conformance.Case;
import dev.jotune.testing.conformance.QuantCases;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/**
 * A process that keeps every kernel of the CPU backend busy for {@code args[0]} seconds of its own processor time, one after
 * another, as a long run would: fused kernels through the cases of the conformance suite, primitives through calls of their own.
 */
public final class HotDriver {
    static final DType[] STORED = {DType.F32, DType.BF16, DType.F16};

    private final Backend cpu = Backends.cpu();
    private final List<Runnable> works = new ArrayList<>();

    private HotDriver() {
        for (Case c : KernelConformance.cases()) {
            works.add(() -> c.run(cpu));
        }
        maps();
        copies();
        HotProducts.add(cpu, works);
        HotDecode.add(cpu, works);
        HotFused.add(cpu, works);
        for (BlockFormat format : BlockFormat.values()) {
            dequantize(QuantCases.random(cpu, format, 16, 2L * format.elements()));
        }
        dequantize(Nf4Matrix.quantize(noise(16, 640)));
    }

    public static void main(String[] args) throws InterruptedException {
        HotDriver driver = new HotDriver();
        long end = cpuTime() + Long.parseLong(args[0]) * 1_000_000_000L;
        int rounds = 0;
        // Short turns, several times: the compiler sees a method called from many places, as it does in a model.
        for (; rounds < 4 || cpuTime() < end; rounds++) {
            driver.works.forEach(HotDriver::turn);
        }
        System.out.println("rounds " + rounds);
    }

    private static void turn(Runnable work) {
        long end = cpuTime() + 15_000_000;
        do {
            try (Scope scope = Scope.open()) {
                work.run();
            }
        } while (cpuTime() < end);
    }

    // Of this thread: others may load the machine.
    private static long cpuTime() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private void maps() {
        Tensor x = noise(9, 700);
        Tensor y = noise(9, 700);
        Tensor out = noise(9, 700);
        Expr a = Expr.input(0);
        Expr b = Expr.input(1);
        List<Expr> all = new ArrayList<>();
        for (Expr.UnaryOp op : Expr.UnaryOp.values()) {
            all.add(new Expr.Unary(op, a));
        }
        for (Expr.BinaryOp op : Expr.BinaryOp.values()) {
            all.add(new Expr.Binary(op, a, b));
            all.add(new Expr.Binary(op, a, Expr.of(0.5)));
            all.add(new Expr.Binary(op, Expr.of(0.5), a));
        }
        all.add(Expr.select(new Expr.Binary(Expr.BinaryOp.LT, a, b), a, b));
        all.add(Expr.select(new Expr.Binary(Expr.BinaryOp.LT, a, b), a, Expr.of(2)));
        all.add(new Expr.Binary(Expr.BinaryOp.SUB, a, new Expr.RowSum(b)));
        all.add(new Expr.Binary(Expr.BinaryOp.SUB, a, new Expr.RowMax(b)));
        all.add(new Expr.Binary(Expr.BinaryOp.MUL, a, new Expr.Iota()));
        for (Expr e : all) {
            Program program = Program.of(e);
            Tensor[] inputs = program.inputCount() > 1 ? new Tensor[] {x, y} : new Tensor[] {x};
            // Three turns: an operation has fewer cases than a product.
            for (int i = 0; i < 3; i++) {
                works.add(() -> cpu.map(program, inputs, new Tensor[] {out}));
            }
        }
        for (long[] shape : new long[][] {{1, 700}, {9, 1}, {1, 1}}) {
            Tensor sum = noise(shape);
            works.add(() -> cpu.reduce(Reduction.SUM, x, sum));
            works.add(() -> cpu.reduce(Reduction.SUM, x.transpose(0, 1), sum.transpose(0, 1)));
        }
    }

    private void copies() {
        for (DType from : STORED) {
            for (DType to : STORED) {
                Tensor source = noise(48, 80).to(from);
                Tensor target = Tensor.empty(cpu, to, 48, 80);
                Tensor turned = Tensor.empty(cpu, to, 80, 48);
                works.add(() -> cpu.copy(source, target));
                works.add(() -> cpu.copy(source.transpose(0, 1), turned));
            }
        }
        Tensor filled = noise(48, 80);
        works.add(() -> cpu.fill(filled, 3));
    }

    private void dequantize(QuantizedMatrix m) {
        Tensor out = noise(m.rows(), m.columns());
        works.add(() -> Dequantize.rows(m, 0, out));
    }

    private Tensor noise(long... shape) {
        return noise(cpu, shape);
    }

    static Tensor noise(Backend cpu, long... shape) {
        Tensor t = Tensor.empty(cpu, DType.F32, shape);
        cpu.uniform(t, 7, 0);
        return t;
    }
}
