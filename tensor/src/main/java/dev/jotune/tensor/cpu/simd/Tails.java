package dev.jotune.tensor.cpu.simd;

/** Lets a kernel of whole vectors run over any number of elements: the rest goes through a vector's worth of scratch. */
public final class Tails {
    /** Computes {@code n} elements, n a multiple of the vector length. */
    @FunctionalInterface
    public interface Kernel {
        void run(long[] at, int n);
    }

    private Tails() {
    }

    /**
     * Runs {@code kernel} over {@code n} floats of each array.
     *
     * @param at addresses of the inputs, then of the outputs
     * @param outputs how many of them are outputs
     */
    public static void run(Kernel kernel, long[] at, int n, int outputs) {
        int body = n / Mem.L * Mem.L;
        if (body > 0) {
            kernel.run(at, body);
        }
        if (body == n) {
            return;
        }
        long[] pieces = new long[at.length];
        long scratch = Scratch.get(Scratch.TAILS, (long) at.length * Mem.LB);
        int rest = n - body;
        for (int k = 0; k < at.length; k++) {
            pieces[k] = scratch + (long) k * Mem.LB;
            for (int i = 0; k < at.length - outputs && i < Mem.L; i++) {
                Mem.f32(pieces[k] + 4L * i, i < rest ? Mem.f32(at[k] + 4L * (body + i)) : 0);
            }
        }
        kernel.run(pieces, Mem.L);
        for (int k = at.length - outputs; k < at.length; k++) {
            for (int i = 0; i < rest; i++) {
                Mem.f32(at[k] + 4L * (body + i), Mem.f32(pieces[k] + 4L * i));
            }
        }
    }
}
