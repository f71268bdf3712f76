package dev.jotune.tensor.cpu.simd;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * One token through a decoder as one job of the worker threads, in phases: whoever is free takes the next piece of a
 * phase, and goes on to the next when all pieces are done. A worker that comes late, or never, is not waited for. Handing
 * over takes a fraction of a microsecond, where a job for each product would take several, 150 times a token.
 *
 * <p>Pieces of a product are few and long, since memory is read fastest in long runs. Norms and the order in which
 * products want their rows are short work, so that every thread does them for itself. Nothing is allocated in a step.
 */
public final class DecodeSteps implements Parallel.Task {
    /** Queries, keys and values; attention; its output; gate and up; down. */
    private static final int PHASES = 5;
    /** Bytes of weights from which a second thread gains. */
    private static final long SHARED = 4L << 20;
    /** Rounds of waiting before the processor is offered to others. */
    private static final int SPINS = 20_000;

    private final DecodeShape shape;
    private final DecodeLayer[] layer;
    private final long norm;
    private final RowProduct head;
    private final long headBias;
    private final int participants;
    private final int[] chunks;
    private final int[] target;
    private final AtomicIntegerArray claims;
    private final AtomicInteger done = new AtomicInteger();
    private volatile boolean failed;

    private final Arena arena = Arena.ofShared();
    private final long x;
    private final long projected;
    private final long mixed;
    private final long gate;
    private final long up;
    private final long added;
    private final long logits;
    private final Own[] own;

    private int length;
    private float[] cos;
    private float[] sin;
    private final long[] keys;
    private final long[] values;
    private long headStride;
    private long tokenStride;

    /** What a participant has for itself. */
    private static final class Own {
        long normed;
        /** The row that products read, by {@link RowProduct.Input}. */
        final long[] inputs = new long[RowProduct.Input.values().length];
        long query;
        long key;
        long scores;
    }

    /** @param norm address of the last norm's factors */
    public DecodeSteps(DecodeShape shape, List<DecodeLayer> layers, long norm, RowProduct head, long headBias) {
        this.shape = shape;
        this.layer = layers.toArray(DecodeLayer[]::new);
        this.norm = norm;
        this.head = head;
        this.headBias = headBias;
        long bytes = head.rows() * head.rowBytes();
        for (DecodeLayer l : layers) {
            bytes += l.gate().rows() * (2 * l.gate().rowBytes()) + l.down().rows() * l.down().rowBytes();
        }
        participants = bytes < SHARED ? 1 : Parallel.sharedThreads();
        int phases = PHASES * layer.length + 1;
        claims = new AtomicIntegerArray(phases);
        chunks = new int[phases];
        target = new int[phases];
        for (int p = 0, sum = 0; p < phases; p++) {
            chunks[p] = p % PHASES == 1 ? participants == 1 ? 1 : shape.heads() : participants;
            sum += chunks[p];
            target[p] = sum;
        }
        int heads = shape.heads() * shape.headDim();
        x = floats(shape.hidden());
        projected = floats(heads + 2L * shape.groups() * shape.headDim());
        mixed = floats(heads);
        gate = floats(shape.inner());
        up = floats(shape.inner());
        added = floats(shape.hidden());
        logits = floats(shape.vocabulary());
        keys = new long[layer.length];
        values = new long[layer.length];
        long[] most = new long[RowProduct.Input.values().length];
        for (DecodeLayer l : layers) {
            for (RowProduct w : List.of(l.query(), l.key(), l.value(), l.output(), l.gate(), l.up(), l.down())) {
                most[w.input().ordinal()] = Math.max(most[w.input().ordinal()], w.inputBytes());
            }
        }
        most[head.input().ordinal()] = Math.max(most[head.input().ordinal()], head.inputBytes());
        own = new Own[participants];
        for (int i = 0; i < participants; i++) {
            own[i] = new Own();
            own[i].normed = floats(shape.hidden());
            for (int k = 1; k < most.length; k++) {
                own[i].inputs[k] = floats(most[k] / 4);
            }
            own[i].query = floats(shape.headDim());
            own[i].key = floats(shape.headDim());
        }
    }

    /** Memory for n floats and the rest of a vector. */
    private long floats(long n) {
        return arena.allocate(4 * (n + 64) + 63 & -64, 64).address();
    }

    /** Address of the embedding that a step reads: C floats. */
    public long input() {
        return x;
    }

    /**
     * Where keys and values lie; call again when they have moved.
     *
     * @param headStride bytes from one key/value head to the next
     * @param tokenStride bytes from one token to the next
     * @param capacity tokens that there is room for
     */
    public void bind(long[] keyAddresses, long[] valueAddresses, long headStride, long tokenStride, int capacity) {
        System.arraycopy(keyAddresses, 0, keys, 0, keys.length);
        System.arraycopy(valueAddresses, 0, values, 0, values.length);
        this.headStride = headStride;
        this.tokenStride = tokenStride;
        for (Own o : own) {
            o.scores = floats(capacity + 1L);
        }
    }

    /** Reads the token whose embedding lies at {@link #input}, the cache holding {@code length} before it. */
    public void step(int length, float[] cos, float[] sin, float[] out) {
        this.length = length;
        this.cos = cos;
        this.sin = sin;
        for (int p = 0; p < chunks.length; p++) {
            claims.setPlain(p, 0);
        }
        failed = false;
        done.set(0);
        if (participants == 1) {
            run(0);
        } else {
            Parallel.run(participants, this);
        }
        MemorySegment.copy(Mem.ALL, ValueLayout.JAVA_FLOAT_UNALIGNED, logits, out, 0, out.length);
    }

    @Override
    public void run(int participant) {
        try {
            for (int p = 0; p < chunks.length && !failed; p++) {
                int chunk = claims.getAndIncrement(p);
                if (chunk < chunks[p]) {
                    prologue(p, own[participant]);
                }
                for (; chunk < chunks[p]; chunk = claims.getAndIncrement(p)) {
                    piece(p, chunk, own[participant]);
                    done.getAndIncrement();
                }
                await(target[p]);
            }
        } catch (RuntimeException | Error e) {
            failed = true;
            throw e;
        }
    }

    private void await(int count) {
        int spins = 0;
        while (done.get() < count && !failed) {
            if (++spins < SPINS) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
        }
    }

    // What a participant works out before its first piece of a phase: the row that products read.
    private void prologue(int p, Own o) {
        int phase = p % PHASES;
        if (p == chunks.length - 1) {
            DecodeMath.norm(x, norm, o.normed, shape.hidden(), shape.eps());
            prepare(head, o.normed, o);
            return;
        }
        DecodeLayer l = layer[p / PHASES];
        switch (phase) {
            case 0 -> {
                DecodeMath.norm(x, l.attentionNorm(), o.normed, shape.hidden(), shape.eps());
                prepare(l.query(), o.normed, o);
                also(l.key(), l.query(), o.normed, o);
                also(l.value(), l.key(), o.normed, o);
            }
            case 2 -> prepare(l.output(), mixed, o);
            case 3 -> {
                DecodeMath.norm(x, l.mlpNorm(), o.normed, shape.hidden(), shape.eps());
                prepare(l.gate(), o.normed, o);
                also(l.up(), l.gate(), o.normed, o);
            }
            case 4 -> prepare(l.down(), gate, o);
            default -> { }
        }
    }

    private static void prepare(RowProduct w, long row, Own o) {
        if (w.input() == RowProduct.Input.PLAIN) {
            o.inputs[0] = row;
        } else {
            w.prepare(row, o.inputs[w.input().ordinal()]);
        }
    }

    /** For a product over the row that another one was prepared for last. */
    private static void also(RowProduct w, RowProduct other, long row, Own o) {
        if (w.input() != other.input()) {
            prepare(w, row, o);
        }
    }

    private void piece(int p, int chunk, Own o) {
        int phase = p % PHASES;
        if (p == chunks.length - 1) {
            product(head, headBias, logits, chunk, o);
            return;
        }
        DecodeLayer l = layer[p / PHASES];
        switch (phase) {
            case 0 -> project(l, chunk, o);
            case 1 -> {
                int from = participants == 1 ? 0 : chunk;
                int to = participants == 1 ? shape.heads() : chunk + 1;
                for (int h = from; h < to; h++) {
                    attend(l, p / PHASES, h, o);
                }
            }
            case 2 -> residual(l.output(), l.outputBias(), chunk, o);
            case 3 -> {
                product(l.gate(), l.gateBias(), gate, chunk, o);
                product(l.up(), l.upBias(), up, chunk, o);
                int from = from(shape.inner(), chunk);
                DecodeMath.swiglu(gate + 4L * from, up + 4L * from, from(shape.inner(), chunk + 1) - from);
            }
            default -> residual(l.down(), l.downBias(), chunk, o);
        }
    }

    /** Where a chunk of n rows begins: whole vectors, so that none is written by two. */
    private int from(int n, int chunk) {
        return chunk == participants ? n : (int) ((long) n * chunk / participants) & -16;
    }

    private void product(RowProduct w, long bias, long y, int chunk, Own o) {
        int n = (int) w.rows();
        int from = from(n, chunk);
        int to = from(n, chunk + 1);
        w.run(1, o.inputs[w.input().ordinal()], 0, from, to, y, 0);
        if (bias != 0) {
            Arithmetic.add(y + 4L * from, bias + 4L * from, y + 4L * from, to - from);
        }
    }

    private void project(DecodeLayer l, int chunk, Own o) {
        long k = projected + 4L * shape.heads() * shape.headDim();
        product(l.query(), l.queryBias(), projected, chunk, o);
        product(l.key(), l.keyBias(), k, chunk, o);
        product(l.value(), l.valueBias(), k + 4L * shape.groups() * shape.headDim(), chunk, o);
    }

    private void residual(RowProduct w, long bias, int chunk, Own o) {
        product(w, bias, added, chunk, o);
        int from = from(shape.hidden(), chunk);
        Arithmetic.add(x + 4L * from, added + 4L * from, x + 4L * from, from(shape.hidden(), chunk + 1) - from);
    }

    /** Head h over the cached keys and the newest, which the first head of a group stores. */
    private void attend(DecodeLayer l, int number, int h, Own o) {
        int d = shape.headDim();
        int each = shape.heads() / shape.groups();
        int g = h / each;
        long q = projected + 4L * h * d;
        long k = projected + 4L * (shape.heads() + g) * d;
        long v = k + 4L * shape.groups() * d;
        turn(q, l.queryNorm(), o.query);
        turn(k, l.keyNorm(), o.key);
        DecodeMath.scale(o.query, shape.attentionScale(), d);
        int first = l.window() > 0 ? Math.max(0, length + 1 - l.window()) : 0;
        int n = length - first;
        long cachedKeys = keys[number] + headStride * g;
        long cachedValues = values[number] + headStride * g;
        DecodeMath.scores(o.query, cachedKeys + tokenStride * first, tokenStride, n, d, o.scores);
        DecodeMath.scores(o.query, o.key, 0, 1, d, o.scores + 4L * n);
        float sum = DecodeMath.exponentials(o.scores, n + 1);
        DecodeMath.mix(o.scores, cachedValues + tokenStride * first, tokenStride, n, v, 1 / sum, d, mixed + 4L * h * d);
        if (h % each == 0) {
            Mem.copy(o.key, cachedKeys + tokenStride * length, 4L * d);
            Mem.copy(v, cachedValues + tokenStride * length, 4L * d);
        }
    }

    private void turn(long from, long factors, long to) {
        long row = from;
        if (factors != 0) {
            DecodeMath.norm(row, factors, to, shape.headDim(), shape.eps());
            row = to;
        }
        DecodeMath.rotate(row, to, shape.headDim(), cos, sin, shape.rotary() / 2);
    }

    /** Gives the working memory back. */
    public void close() {
        arena.close();
    }
}
