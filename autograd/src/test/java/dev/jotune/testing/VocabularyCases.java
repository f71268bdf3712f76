package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.Arrays;
import java.util.List;

/** Losses of a vocabulary product without gradients, which a kernel may make without storing logits: sizes around every tile. */
final class VocabularyCases {
    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};

    private VocabularyCases() {}

    static void add(List<Case> all) {
        for (long m : new long[] {0, 1, 8, 9, 31, 32, 33, 64, 65, 127, 130, 260}) {
            all.add(KernelConformance.of("vocabulary/rows " + m, in -> run(in, in.normal(m, 12), in.normal(37, 12), Options.NONE)));
        }
        for (long v : new long[] {1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 515, 3001}) {
            all.add(KernelConformance.of("vocabulary/classes " + v, in -> run(in, in.normal(21, 12), in.normal(v, 12), Options.NONE)));
            all.add(KernelConformance.of("vocabulary/many rows, classes " + v, in -> run(in, in.normal(133, 12), in.normal(v, 12), Options.NONE)));
        }
        for (long c : new long[] {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 32, 33, 65, 128}) {
            all.add(KernelConformance.of("vocabulary/hidden size " + c, in -> run(in, in.normal(19, c), in.normal(45, c), Options.NONE)));
        }
        for (DType x : TYPES) {
            for (DType w : TYPES) {
                all.add(KernelConformance.of("vocabulary/" + x + " times " + w, in ->
                        run(in, in.normal(35, 20).to(x), in.normal(77, 20).to(w), Options.SUM)));
            }
        }
        all.add(KernelConformance.of("vocabulary/mean over labels that count", in -> run(in, in.normal(40, 9), in.normal(50, 9), Options.MEAN)));
        all.add(KernelConformance.of("vocabulary/capped", in -> run(in, in.normal(20, 9), in.normal(50, 9), Options.NONE.withSoftcap(3))));
        all.add(KernelConformance.of("vocabulary/transposed hidden", in ->
                run(in, in.normal(12, 20).transpose(0, 1), in.normal(36, 12), Options.NONE)));
        all.add(KernelConformance.of("vocabulary/transposed weight", in ->
                run(in, in.normal(20, 12), in.normal(12, 36).transpose(0, 1), Options.NONE)));
        all.add(KernelConformance.of("vocabulary/part of a weight", in ->
                run(in, in.normal(20, 12), in.normal(40, 15).slice(1, 3, 15).slice(0, 1, 38), Options.NONE)));
        all.add(KernelConformance.of("vocabulary/logits of thousands", in -> run(in, in.values(i -> 100 * Math.sin(i), 20, 12),
                in.values(i -> 10 * Math.cos(i), 36, 12), Options.NONE)));
        all.add(KernelConformance.of("vocabulary/rounded to BF16", in -> {
            Var x = Var.constant(in.normal(30, 16).to(DType.BF16).to(in.definition() ? DType.F64 : DType.F32));
            Var w = Var.constant(in.normal(70, 16).to(DType.BF16).to(in.definition() ? DType.F64 : DType.F32));
            Tensor labels = labels(in, 30, 70);
            return one(in.definition() ? LinearCrossEntropy.definition(x, w, labels, Options.NONE)
                    : LinearCrossEntropy.apply(x, w, labels, Options.NONE, Precision.BF16));
        }));
    }

    /** Every class now and then; some positions do not count. */
    private static Tensor labels(Inputs in, long rows, long classes) {
        long[] labels = new long[Math.toIntExact(rows)];
        Arrays.setAll(labels, i -> i % 6 == 4 ? CrossEntropy.IGNORE_INDEX : (i * 7919L + classes - 1) % classes);
        return Tensor.of(in.backend(), labels, rows);
    }

    private static Var[] run(Inputs in, Tensor x, Tensor w, Options options) {
        Tensor labels = labels(in, x.size(0), w.size(0));
        return one(in.definition()
                ? LinearCrossEntropy.definition(Var.constant(x.to(DType.F64)), Var.constant(w.to(DType.F64)), labels, options)
                : LinearCrossEntropy.apply(Var.constant(x), Var.constant(w), labels, options));
    }

    private static Var[] one(Var v) {
        return new Var[] {v};
    }
}
