package dev.jotune.jmh.gpu;

import dev.jotune.jmh.Workload;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;
import java.util.Map;
import java.util.OptionalDouble;

/** A whole step of tuning, until its loss is on the host: a Llama with random weights in BF16, products of operands rounded to it. */
final class TrainingStep implements Work {
    /** Wide as the model that is measured, but small enough for the CPU. */
    static final Workload.Shape COMPARED = new Workload.Shape(4096, 2048, 8192, 2, 32, 8);
    static final Workload.Shape TINY = new Workload.Shape(96, 32, 64, 2, 4, 2);

    private final Setting setting;
    private final String name;
    private final Workload work;

    TrainingStep(Setting setting, String name) {
        this.setting = setting;
        this.name = name;
        Backend b = setting.backend();
        work = setting.tiny() ? tiny(b) : new Workload(name, Workload.Shape.B1, 8, 512, DType.BF16, Precision.BF16, b);
    }

    private Workload tiny(Backend b) {
        return new Workload(name, TINY, 2, 24, DType.BF16, Precision.BF16, b);
    }

    private Workload compared(Backend b) {
        return setting.tiny() ? tiny(b) : new Workload(name, COMPARED, 2, 64, DType.BF16, Precision.BF16, b);
    }

    @Override
    public Mode mode() {
        return Mode.WALL;
    }

    @Override
    public void run(int set) {
        double loss = work.run();
        if (Double.isNaN(loss)) {
            throw new IllegalStateException("the loss of a " + name + " is not a number");
        }
    }

    /** Losses of the same steps of a smaller model on the CPU: weights, tokens and what trains begin with the same numbers. */
    @Override
    public Check check() {
        Workload there = compared(setting.backend());
        Workload here = compared(Backends.cpu());
        double error = 0;
        for (int step = 0; step < 3; step++) {
            double right = here.run();
            error = Math.max(error, Math.abs(there.run() - right) / right);
        }
        // A loss is a mean over many tokens, in which roundings to BF16 mostly cancel.
        return new Check(error, 3e-3);
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return work.tokens() / micros * 1e6;
    }

    @Override
    public Map<String, Object> facts() {
        return Map.of("type", "BF16 weights and products, F32 activations");
    }
}
