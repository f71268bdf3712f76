package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.List;

/** Noise must be the same bit for bit everywhere. */
final class NoiseCases {
    private static final long[] SEEDS = {0, 1, -1, 0x123456789abcdefL};

    private NoiseCases() {}

    static void add(List<Case> all) {
        all.add(new Case("uniform/F32", b -> check(b, DType.F32, true)));
        all.add(new Case("uniform/F64", b -> check(b, DType.F64, true)));
        all.add(new Case("normal/F32", b -> check(b, DType.F32, false)));
        all.add(new Case("normal/F64", b -> check(b, DType.F64, false)));
    }

    private static void check(Backend b, DType type, boolean uniform) {
        for (long n : new long[] {0, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33, 1001}) {
            for (long seed : SEEDS) {
                Tensor out = Tensor.zeros(b, type, n + 3).slice(0, 3, n + 3);
                long stream = seed * 31 + n;
                if (uniform) {
                    b.uniform(out, seed, stream);
                } else {
                    b.normal(out, seed, stream);
                }
                double[] got = out.toDoubleArray();
                for (int i = 0; i < n; i++) {
                    double want = expected(type, uniform, seed, stream, i);
                    if (got[i] != want) {
                        throw new AssertionError("noise " + i + " of seed " + seed + ", stream " + stream + " is " + got[i]
                                + ", not " + want);
                    }
                }
            }
        }
    }

    private static double expected(DType type, boolean uniform, long seed, long stream, long i) {
        if (uniform) {
            return type == DType.F64 ? Philox.uniformDouble(seed, stream, i) : Philox.uniform(seed, stream, i);
        }
        double normal = Philox.normal(seed, stream, i);
        return type == DType.F64 ? normal : (float) normal;
    }
}
