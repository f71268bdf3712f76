package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.cpu.simd.ScanShape.Operand;
import jdk.incubator.vector.FloatVector;

/**
 * The selective scan of Mamba (arXiv 2312.00752), forward: {@code h = exp(dt a) h + dt x b}, {@code y = c h + d x}.
 *
 * <p>Channels are independent, so a vector holds channels, and the N states of a channel are N vectors that stay in
 * the first-level cache for the whole text: no sum over lanes, no transposed result. The time goes into N exponentials
 * for each channel and step.
 */
public final class Scan {
    /** What an element costs, for the choice of tasks: an exponential and two products. */
    private static final int COST = 8;

    private Scan() {
    }

    /**
     * All batch entries.
     *
     * @param a dense {@code [E, N]}
     * @param d dense {@code [E]}
     * @param state dense {@code [B, E, N]}
     * @param out dense {@code [B, T, E]}
     * @param last dense {@code [B, E, N]}: the state after the last step
     * @param kept dense {@code [B, chunks, E, N]}: the states before each chunk; or 0
     */
    public static void forward(ScanShape shape, Operand x, Operand dt, long a, Operand b, Operand c, long d, long state,
            long out, long last, long kept) {
        int blocks = shape.blocks();
        Rows.run((long) shape.batch() * blocks, (long) shape.time() * shape.states() * Mem.L, COST, (from, to) -> {
            for (long i = from; i < to; i++) {
                block(shape, (int) (i / blocks), (int) (i % blocks), x, dt, a, b, c, d, state, out, last, kept);
            }
        });
    }

    private static void block(ScanShape shape, int row, int block, Operand x, Operand dt, long a, Operand b, Operand c,
            long d, long state, long out, long last, long kept) {
        int stateBytes = shape.stateBytes();
        int stepBytes = LB * shape.chunk();
        long matrix = 4L * shape.channels() * shape.states();
        long rates = Scratch.get(Scratch.SCAN, 2L * stateBytes + 3L * stepBytes + LB);
        long h = rates + stateBytes;
        long xs = h + stateBytes;
        long dts = xs + stepBytes;
        long ys = dts + stepBytes;
        long ds = ys + stepBytes;
        shape.packStates(a, block, rates);
        shape.packStates(state + row * matrix, block, h);
        packVector(shape, d, block, ds);
        for (int chunk = 0; chunk < shape.chunks(); chunk++) {
            long first = (long) chunk * shape.chunk();
            int steps = shape.steps(chunk);
            if (kept != 0) {
                shape.unpackStates(h, block, kept + ((long) row * shape.chunks() + chunk) * matrix);
            }
            shape.packSteps(x, row, first, steps, block, xs);
            shape.packSteps(dt, row, first, steps, block, dts);
            for (int t = 0; t < steps; t++) {
                step(shape.states(), xs + (long) LB * t, dts + (long) LB * t, rates, b.at(row, first + t, 0),
                        4 * b.column(), c.at(row, first + t, 0), 4 * c.column(), ds, h, ys + (long) LB * t);
            }
            shape.unpackSteps(ys, row, first, steps, block, out);
        }
        shape.unpackStates(h, block, last + row * matrix);
    }

    /** The block's elements of a dense {@code [E]}, zero beyond the last channel. */
    static void packVector(ScanShape shape, long vector, int block, long target) {
        Mem.zero(target, LB);
        Mem.copy(vector + (long) LB * block, target, 4L * shape.lanes(block));
    }

    private static void step(int states, long x, long dt, long a, long b, long bStep, long c, long cStep, long d, long h,
            long y) {
        FloatVector delta = FloatVector.fromMemorySegment(S, ALL, dt, ORDER);
        FloatVector in = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
        FloatVector u = delta.mul(in);
        FloatVector out = FloatVector.fromMemorySegment(S, ALL, d, ORDER).mul(in);
        for (int n = 0; n < states; n++) {
            long at = (long) LB * n;
            FloatVector decay = VMath.exp(FloatVector.fromMemorySegment(S, ALL, a + at, ORDER).mul(delta));
            FloatVector add = u.mul(FloatVector.broadcast(S, Mem.f32(b + n * bStep)));
            FloatVector state = decay.fma(FloatVector.fromMemorySegment(S, ALL, h + at, ORDER), add);
            state.intoMemorySegment(ALL, h + at, ORDER);
            out = state.fma(FloatVector.broadcast(S, Mem.f32(c + n * cStep)), out);
        }
        out.intoMemorySegment(ALL, y, ORDER);
    }
}
