package dev.jotune.testing.gate;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.DecodeKernel.Layer;
import dev.jotune.tensor.kernels.DecodeKernel.Linear;
import dev.jotune.tensor.kernels.DecodeKernel.Model;
import dev.jotune.tensor.kernels.DecodeKernel.Weight;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.testing.conformance.QuantCases;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;

/** Steps of one text for {@link HotDriver}, with every kind of weight. */
final class HotDecode {
    private static final int HIDDEN = 512;
    private static final int HEADS = 16;
    private static final int GROUPS = 4;
    /**
     * Of a model whose products are next to nothing. A step calls its norms and gates once or twice beside millions of multiplications:
     * on a slow machine, models of the usual width call them too rarely to become hot.
     */
    private static final int NARROW = 32;
    /** The narrow model's turns. */
    private static final int TURNS = 8;
    /** Four vectors of 512 bits and one more. */
    private static final int SIZE = 80;
    private static final int CAPACITY = 48;

    private HotDecode() {}

    static void add(Backend cpu, List<Runnable> works) {
        cpu.kernel(DecodeKernel.class).ifPresent(kernel -> {
            for (DType type : HotDriver.STORED) {
                step(cpu, kernel, HIDDEN, (rows, columns) -> Weight.of(HotDriver.noise(cpu, rows, columns).to(type))).ifPresent(works::add);
            }
            for (BlockFormat format : BlockFormat.values()) {
                step(cpu, kernel, HIDDEN, (rows, columns) -> Weight.of(QuantCases.random(cpu, format, rows, columns))).ifPresent(works::add);
            }
            step(cpu, kernel, HIDDEN, (rows, columns) -> Weight.of(Nf4Matrix.quantize(HotDriver.noise(cpu, rows, columns)))).ifPresent(works::add);
            step(cpu, kernel, NARROW, (rows, columns) -> Weight.of(HotDriver.noise(cpu, rows, columns)))
                    .ifPresent(step -> works.addAll(Collections.nCopies(TURNS, step)));
        });
    }

    private static Optional<Runnable> step(Backend cpu, DecodeKernel kernel, long c, BiFunction<Long, Long, Weight> weight) {
        BiFunction<Long, Long, Linear> linear = (rows, columns) -> new Linear(weight.apply(rows, columns), Optional.empty());
        Tensor norm = HotDriver.noise(cpu, c);
        Optional<Tensor> headNorm = Optional.of(HotDriver.noise(cpu, SIZE));
        long queries = (long) HEADS * SIZE;
        long keysOut = (long) GROUPS * SIZE;
        Layer layer = new Layer(norm, linear.apply(queries, c), linear.apply(keysOut, c), linear.apply(keysOut, c), headNorm, headNorm,
                linear.apply(c, queries), norm, linear.apply(c, c), linear.apply(c, c), linear.apply(c, c), 0);
        Model model = new Model(weight.apply(64L, c), 1, List.of(layer), norm, linear.apply(64L, c), HEADS, GROUPS, SIZE, SIZE, 1e-5, 0.125);
        if (kernel.obstacle(model).isPresent()) {
            return Optional.empty();
        }
        DecodeKernel.Steps steps = kernel.prepare(model, 1);
        Tensor[] keys = {HotDriver.noise(cpu, 1, GROUPS, CAPACITY, SIZE)};
        Tensor[] values = {HotDriver.noise(cpu, 1, GROUPS, CAPACITY, SIZE)};
        float[] angles = new float[SIZE / 2];
        int[] token = {1};
        int[] padding = new int[2];
        float[][] logits = new float[1][64];
        return Optional.of(() -> steps.step(token, CAPACITY - 3, padding, angles, angles, keys, values, logits));
    }
}
