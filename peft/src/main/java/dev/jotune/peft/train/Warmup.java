package dev.jotune.peft.train;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * Lets the JVM compile what a training step runs before the first step of a large model: Java code of vector kernels is
 * hundreds of times slower until it is compiled, so that the first step would take as long as several. Gradients of short texts go
 * through the same code, and pack the same weights, in a fraction of that time; nothing is learnt from them.
 */
public final class Warmup {
    /** Weights from which on it pays. */
    static final long LARGE = 16_000_000;
    /** Tokens to begin with, while code is interpreted. */
    public static final int SHORT = 16;
    /** The most that one kind of text takes, in time of the processor: beside other programs the compilers need longer too. */
    private static final long NANOS = 3_000_000_000L;
    /** Passes of which the compilers took less than this share of their time are as fast as they will be. */
    private static final double QUIET = 0.3;
    /** Values that the optimiser is tried on. */
    private static final long VALUES = 4 << 20;

    private Warmup() {}

    /**
     * Takes gradients of one loss after the other, of each until the compilers have little left to do, at most three seconds of
     * its own thread and a pass.
     *
     * @param losses compute what a step minimises, of ever longer texts
     * @param wrt what a step trains; it stays as it is
     * @param scratch an optimiser as the step's, whose state is of no use afterwards
     * @return how many passes it took
     */
    public static int run(List<Supplier<Var>> losses, List<Var> wrt, Optimizer scratch) {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        if (compiler == null || !compiler.isCompilationTimeMonitoringSupported()) {
            return 0;
        }
        int passes = 0;
        try (Scope _ = Scope.open()) {
            List<Tensor> copies = copies(wrt);
            for (Supplier<Var> loss : losses) {
                long begun = own();
                double share = 1;
                for (long start = System.nanoTime(); share > QUIET && own() - begun < NANOS; passes++) {
                    long before = compiler.getTotalCompilationTime();
                    pass(loss, wrt, copies, scratch);
                    long end = System.nanoTime();
                    share = (compiler.getTotalCompilationTime() - before) * 1e6 / (end - start);
                    start = end;
                }
            }
        }
        return passes;
    }

    /** Processor time of this thread, or the clock where that is not known. */
    private static long own() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return threads.isCurrentThreadCpuTimeSupported() ? threads.getCurrentThreadCpuTime() : System.nanoTime();
    }

    /** Parameters to overwrite in place of the first of {@code wrt}. */
    private static List<Tensor> copies(List<Var> wrt) {
        List<Tensor> out = new ArrayList<>();
        long values = 0;
        for (Var v : wrt) {
            values += v.tensor().numel();
            if (values > VALUES && !out.isEmpty()) {
                break;
            }
            out.add(Tensor.zeros(v.backend(), v.dtype(), v.shape()));
        }
        return out;
    }

    private static void pass(Supplier<Var> loss, List<Var> wrt, List<Tensor> copies, Optimizer scratch) {
        try (Scope _ = Scope.open()) {
            List<Tensor> gradients = Gradients.consume(loss.get(), wrt);
            List<Trainable> some = new ArrayList<>();
            for (int i = 0; i < copies.size(); i++) {
                some.add(new Trainable("warm-up." + i, copies.get(i), gradients.get(i)));
            }
            scratch.step(some);
        }
    }
}
