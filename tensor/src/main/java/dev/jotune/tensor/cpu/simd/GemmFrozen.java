package dev.jotune.tensor.cpu.simd;

/** Products with a weight in {@link Panels}, in both directions from the one copy. */
public final class GemmFrozen {
    private static final int KC = 1024;

    private GemmFrozen() {
    }

    /** {@code y [m, n] += x [m, k] W^T}, or {@code =}; rows of x and y contiguous. */
    public static void product(int m, Panels w, long x, long y, boolean add) {
        int k = w.k();
        Parallel.run(Panels.count(w.n()), j -> {
            for (int p = 0; p < k; p += KC) {
                int steps = Math.min(KC, k - p);
                long panel = w.wide(j, p, steps, Scratch.get(Scratch.GEMM_PANEL, 4L * Gemm.NR * steps));
                Gemm.rows(0, m, m, Gemm.NR, w.columns(j), steps, x + 4L * p, false, k, 1, panel, 4L * Gemm.NR,
                        y + 4L * j * Gemm.NR, w.n(), add || p > 0);
            }
        });
    }

    /** {@code dx [m, k] += dy [m, n] W}, or {@code =}. */
    public static void productBack(int m, Panels w, long dy, long dx, boolean add) {
        int k = w.k();
        int block = KC / Gemm.NR * Gemm.NR;
        Parallel.run(Panels.count(k), o -> {
            int from = o * Gemm.NR;
            int columns = Math.min(Gemm.NR, k - from);
            for (int n = 0; n < w.n(); n += block) {
                int steps = Math.min(block, w.n() - n);
                long panel = Scratch.get(Scratch.GEMM_PANEL, 4L * Gemm.NR * steps);
                for (int j = 0; j < Panels.count(steps); j++) {
                    w.transposed(n / Gemm.NR + j, from, columns, panel + 4L * j * Gemm.NR * Gemm.NR, 4L * Gemm.NR);
                }
                Gemm.rows(0, m, m, Gemm.NR, columns, steps, dy + 4L * n, false, w.n(), 1, panel, 4L * Gemm.NR, dx + 4L * from, k,
                        add || n > 0);
            }
        });
    }
}
