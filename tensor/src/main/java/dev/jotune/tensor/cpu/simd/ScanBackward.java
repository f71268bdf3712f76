package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.cpu.simd.ScanShape.Operand;
import jdk.incubator.vector.FloatVector;

/**
 * The selective scan, backward. Chunks are visited from the last to the first; the states within a chunk are computed
 * again from the one kept before it. With g the gradient by h_t, {@code u = dt x} and {@code decay = exp(dt a)}:
 *
 * <pre>
 *   g = g_later + c dy     dc = dy h_t      db = g u      du = sum_n g b     g_earlier = g decay
 *   da = g_earlier h_(t-1) dt      d(dt) = du x + sum_n g_earlier h_(t-1) a      dx = du dt + d dy      dd = dy x
 * </pre>
 *
 * <p>db and dc are sums over channels. Groups of blocks sum their own; groups and batch entries are added in order at
 * the end, so that a result does not depend on the number of threads.
 */
public final class ScanBackward {
    /** Groups of a batch entry, at most: how far one long text is spread over threads. */
    private static final int GROUPS = 16;

    private final ScanShape shape;
    private final Operand x;
    private final Operand dt;
    private final long a;
    private final Operand b;
    private final Operand c;
    private final long d;
    private final long kept;
    private final Operand dOut;
    private final long dLast;
    private final Targets targets;
    private final int groups;
    /** Per group: {@code [B, groups, T, N]} of db, then of dc; per batch entry: {@code [B, E, N]} of da, {@code [B, E]} of dd. */
    private final long dbs;
    private final long dcs;
    private final long das;
    private final long dds;

    /**
     * Addresses of dense gradients, 0 if not wanted: dx, ddt {@code [B, T, E]}, da {@code [E, N]}, db, dc
     * {@code [B, T, N]}, dd {@code [E]}, dState {@code [B, E, N]}.
     */
    public record Targets(long dx, long ddt, long da, long db, long dc, long dd, long dState) {
    }

    private ScanBackward(ScanShape shape, Operand x, Operand dt, long a, Operand b, Operand c, long d, long kept,
            Operand dOut, long dLast, Targets targets) {
        this.shape = shape;
        this.x = x;
        this.dt = dt;
        this.a = a;
        this.b = b;
        this.c = c;
        this.d = d;
        this.kept = kept;
        this.dOut = dOut;
        this.dLast = dLast;
        this.targets = targets;
        groups = Math.min(GROUPS, shape.blocks());
        long perStep = (long) shape.batch() * groups * shape.time() * shape.states();
        long perChannel = (long) shape.batch() * shape.channels();
        dbs = Scratch.get(Scratch.PARTIALS, 4 * (2 * perStep + perChannel * (shape.states() + 1)));
        dcs = dbs + 4 * perStep;
        das = dcs + 4 * perStep;
        dds = das + 4 * perChannel * shape.states();
    }

    /**
     * All gradients that are wanted; operands as in {@link Scan#forward}.
     *
     * @param kept what the forward pass kept
     * @param dOut gradient by out
     * @param dLast gradient by the last state, dense {@code [B, E, N]}
     */
    public static void run(ScanShape shape, Operand x, Operand dt, long a, Operand b, Operand c, long d, long kept,
            Operand dOut, long dLast, Targets targets) {
        new ScanBackward(shape, x, dt, a, b, c, d, kept, dOut, dLast, targets).run();
    }

    private void run() {
        Parallel.run(shape.batch() * groups, task -> group(task / groups, task % groups));
        long perBatch = (long) shape.time() * shape.states();
        for (int row = 0; row < shape.batch(); row++) {
            add(targets.db() == 0 ? 0 : targets.db() + 4 * row * perBatch, dbs + 4 * row * groups * perBatch, groups, perBatch);
            add(targets.dc() == 0 ? 0 : targets.dc() + 4 * row * perBatch, dcs + 4 * row * groups * perBatch, groups, perBatch);
        }
        add(targets.da(), das, shape.batch(), (long) shape.channels() * shape.states());
        add(targets.dd(), dds, shape.batch(), shape.channels());
    }

    /** target = the sum of {@code count} arrays of n floats, in order. */
    private static void add(long target, long parts, int count, long n) {
        if (target == 0) {
            return;
        }
        Mem.zero(target, 4 * n);
        for (int k = 0; k < count; k++) {
            Arithmetic.add(target, parts + 4 * k * n, target, Math.toIntExact(n));
        }
    }

    /** The working memory of one task: one vector for each (step and) state, and what each block carries backwards. */
    private final class Work {
        final int from;
        final long states = Scratch.get(Scratch.SCAN, bytes());
        final long decays = states + (long) (shape.chunk() + 1) * shape.stateBytes();
        final long db = decays + (long) shape.chunk() * shape.stateBytes();
        final long dc = db + (long) shape.chunk() * shape.stateBytes();
        final long xs = dc + (long) shape.chunk() * shape.stateBytes();
        final long dts = xs + (long) shape.chunk() * LB;
        final long dys = dts + (long) shape.chunk() * LB;
        final long carried = dys + (long) shape.chunk() * LB;

        Work(int from) {
            this.from = from;
        }

        private long bytes() {
            long blocks = (shape.blocks() + groups - 1) / groups;
            return (4L * shape.chunk() + 1) * shape.stateBytes() + 3L * shape.chunk() * LB
                    + blocks * (3L * shape.stateBytes() + 2 * LB);
        }

        /** Of a block: its rows of a, then g, then da, then d, then dd. */
        long rates(int block) {
            return carried + (block - from) * (3L * shape.stateBytes() + 2 * LB);
        }

        long gradient(int block) {
            return rates(block) + shape.stateBytes();
        }

        long da(int block) {
            return rates(block) + 2L * shape.stateBytes();
        }

        long skip(int block) {
            return rates(block) + 3L * shape.stateBytes();
        }
    }

    private void group(int row, int group) {
        int from = shape.blocks() * group / groups;
        int to = shape.blocks() * (group + 1) / groups;
        long matrix = 4L * shape.channels() * shape.states();
        Work w = new Work(from);
        for (int block = from; block < to; block++) {
            shape.packStates(a, block, w.rates(block));
            shape.packStates(dLast + row * matrix, block, w.gradient(block));
            Mem.zero(w.da(block), shape.stateBytes());
            Scan.packVector(shape, d, block, w.skip(block));
            Mem.zero(w.skip(block) + LB, LB);
        }
        for (int chunk = shape.chunks() - 1; chunk >= 0; chunk--) {
            chunk(w, row, group, to, chunk);
        }
        for (int block = from; block < to; block++) {
            shape.unpackStates(w.da(block), block, das + row * matrix);
            Mem.copy(w.skip(block) + LB, dds + 4L * row * shape.channels() + (long) LB * block, 4L * shape.lanes(block));
            if (targets.dState() != 0) {
                shape.unpackStates(w.gradient(block), block, targets.dState() + row * matrix);
            }
        }
    }

    private void chunk(Work w, int row, int group, int to, int chunk) {
        int steps = shape.steps(chunk);
        long first = (long) chunk * shape.chunk();
        int stateBytes = shape.stateBytes();
        long matrix = 4L * shape.channels() * shape.states();
        Mem.zero(w.db, (long) steps * stateBytes);
        Mem.zero(w.dc, (long) steps * stateBytes);
        for (int block = w.from; block < to; block++) {
            shape.packStates(kept + ((long) row * shape.chunks() + chunk) * matrix, block, w.states);
            shape.packSteps(x, row, first, steps, block, w.xs);
            shape.packSteps(dt, row, first, steps, block, w.dts);
            shape.packSteps(dOut, row, first, steps, block, w.dys);
            for (int t = 0; t < steps; t++) {
                again(shape.states(), w.xs + (long) LB * t, w.dts + (long) LB * t, w.rates(block), b.at(row, first + t, 0),
                        4 * b.column(), w.states + (long) stateBytes * t, w.states + (long) stateBytes * (t + 1),
                        w.decays + (long) stateBytes * t);
            }
            for (int t = steps - 1; t >= 0; t--) {
                step(w, t, block, b.at(row, first + t, 0), c.at(row, first + t, 0));
            }
            // The steps' dx and ddt were written over x and dt.
            if (targets.dx() != 0) {
                shape.unpackSteps(w.xs, row, first, steps, block, targets.dx());
            }
            if (targets.ddt() != 0) {
                shape.unpackSteps(w.dts, row, first, steps, block, targets.ddt());
            }
        }
        Lanes.fold(w.db, steps * shape.states());
        Lanes.fold(w.dc, steps * shape.states());
        long at = 4 * (((long) row * groups + group) * shape.time() + first) * shape.states();
        Mem.copy(w.db, dbs + at, 4L * steps * shape.states());
        Mem.copy(w.dc, dcs + at, 4L * steps * shape.states());
    }

    /** The forward step, keeping the state and the decay. */
    private static void again(int states, long x, long dt, long a, long b, long bStep, long before, long after, long decays) {
        FloatVector delta = FloatVector.fromMemorySegment(S, ALL, dt, ORDER);
        FloatVector u = delta.mul(FloatVector.fromMemorySegment(S, ALL, x, ORDER));
        for (int n = 0; n < states; n++) {
            long at = (long) LB * n;
            FloatVector decay = VMath.exp(FloatVector.fromMemorySegment(S, ALL, a + at, ORDER).mul(delta));
            FloatVector add = u.mul(FloatVector.broadcast(S, Mem.f32(b + n * bStep)));
            decay.intoMemorySegment(ALL, decays + at, ORDER);
            decay.fma(FloatVector.fromMemorySegment(S, ALL, before + at, ORDER), add).intoMemorySegment(ALL, after + at, ORDER);
        }
    }

    private void step(Work w, int t, int block, long bt, long ct) {
        FloatVector delta = FloatVector.fromMemorySegment(S, ALL, w.dts + (long) LB * t, ORDER);
        FloatVector in = FloatVector.fromMemorySegment(S, ALL, w.xs + (long) LB * t, ORDER);
        FloatVector dy = FloatVector.fromMemorySegment(S, ALL, w.dys + (long) LB * t, ORDER);
        FloatVector u = delta.mul(in);
        FloatVector du = FloatVector.zero(S);
        FloatVector dDelta = du;
        long offset = (long) shape.stateBytes() * t;
        long now = w.states + offset + shape.stateBytes();
        long rates = w.rates(block);
        long gradient = w.gradient(block);
        long da = w.da(block);
        long bStep = 4 * b.column();
        long cStep = 4 * c.column();
        for (int n = 0; n < shape.states(); n++) {
            long at = (long) LB * n;
            FloatVector g = dy.fma(FloatVector.broadcast(S, Mem.f32(ct + n * cStep)),
                    FloatVector.fromMemorySegment(S, ALL, gradient + at, ORDER));
            du = g.fma(FloatVector.broadcast(S, Mem.f32(bt + n * bStep)), du);
            addTo(w.dc + offset + at, dy, FloatVector.fromMemorySegment(S, ALL, now + at, ORDER));
            addTo(w.db + offset + at, g, u);
            g = g.mul(FloatVector.fromMemorySegment(S, ALL, w.decays + offset + at, ORDER));
            g.intoMemorySegment(ALL, gradient + at, ORDER);
            FloatVector slope = g.mul(FloatVector.fromMemorySegment(S, ALL, w.states + offset + at, ORDER));
            addTo(da + at, slope, delta);
            dDelta = slope.fma(FloatVector.fromMemorySegment(S, ALL, rates + at, ORDER), dDelta);
        }
        long skip = w.skip(block);
        addTo(skip + LB, dy, in);
        du.fma(in, dDelta).intoMemorySegment(ALL, w.dts + (long) LB * t, ORDER);
        FloatVector.fromMemorySegment(S, ALL, skip, ORDER).fma(dy, du.mul(delta))
                .intoMemorySegment(ALL, w.xs + (long) LB * t, ORDER);
    }

    private static void addTo(long target, FloatVector a, FloatVector b) {
        a.fma(b, FloatVector.fromMemorySegment(S, ALL, target, ORDER)).intoMemorySegment(ALL, target, ORDER);
    }
}
