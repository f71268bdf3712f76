package dev.jotune.cli;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;

/** A little of everything that a training step does, for {@code jotune devices --profile}. */
final class SampleWork {
    private static final int ROUNDS = 10;
    private static final long ROWS = 256;
    private static final long WIDTH = 512;

    private SampleWork() {}

    static void run(Backend b) {
        Program softmax = Program.of(Formulas.SOFTMAX);
        Program swiglu = Program.of(Formulas.SWIGLU);
        for (int round = 0; round < ROUNDS; round++) {
            try (Scope scope = Scope.open()) {
                Tensor x = Tensor.empty(b, DType.F32, ROWS, WIDTH);
                Tensor w = Tensor.empty(b, DType.F32, WIDTH, WIDTH);
                Tensor y = Tensor.empty(b, DType.F32, ROWS, WIDTH);
                b.normal(x, round, 0);
                b.uniform(w, round, 1);
                b.matmul(x, w.transpose(0, 1), y, false);
                b.map(softmax, new Tensor[] {y}, new Tensor[] {y});
                b.map(swiglu, new Tensor[] {y, x}, new Tensor[] {y});
                b.reduce(Reduction.SUM, y, Tensor.empty(b, DType.F32, 1, WIDTH));
                b.argmax(y, Tensor.empty(b, DType.I64, ROWS));
                Tensor ids = Tensor.of(b, new long[] {3, 1, 3}, 3);
                b.gather(w, ids, y.slice(0, 0, 3));
                b.scatterAdd(y.slice(0, 0, 3), ids, w);
                y.to(DType.BF16);
            }
        }
    }
}
