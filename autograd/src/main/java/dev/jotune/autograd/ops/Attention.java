package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Attention as a fold over key/value segments: the centre of the engine (DESIGN section 2, seam 2).
 *
 * <p>A segment maps queries to a pair (o, lse): its normalised output and its log-sum-exp. Pairs merge associatively:
 * {@code lse = log(e^lse1 + e^lse2)}, {@code o = e^(lse1 - lse) o1 + e^(lse2 - lse) o2}. A tuned prefix, a KV cache, a
 * shared prompt are segments; their order does not matter.
 */
public final class Attention {
    /** As a projection leaves the heads and as the next one takes them, {@code [B, T, H, D]}: neither side is copied. */
    private static final int[] HEADS_INSIDE = {0, 2, 1, 3};
    private static final int[] HEADS_OUTSIDE = {0, 1, 2, 3};

    private Attention() {}

    /**
     * A run of keys and values.
     *
     * @param key {@code [B or 1, G, S, D]}; batch size 1 is shared by all rows
     * @param value {@code [B or 1, G, S, Dv]}
     * @param visible which keys a query sees
     * @param rows the only rows that see it, if not all; their queries then read it together, see {@link #shared}
     */
    public record Segment(Var key, Var value, Visible visible, Optional<Rows> rows) {
        public Segment(Var key, Var value, Visible visible) {
            this(key, value, visible, Optional.empty());
        }

        /**
         * A run that the neighbouring rows {@code first} to {@code last - 1} have in common and see all of, such as a prompt
         * that their texts begin with. Their queries go through it as one: a product of matrices, where each row alone would
         * multiply a matrix with a vector (Hydragen, Juravsky et al., arXiv 2402.05099).
         *
         * @param key {@code [1, G, S, D]}
         * @param value {@code [1, G, S, Dv]}
         */
        public static Segment shared(Var key, Var value, long first, long last) {
            return new Segment(key, value, Visible.ALL, Optional.of(new Rows(first, last)));
        }

        /** What queries {@code from} to {@code to} (exclusive) alone see of it. */
        public Segment forQueries(long from, long to) {
            Optional<Var> bias = visible.bias.map(b -> b.size(2) == 1 ? b : b.slice(2, from, to));
            return new Segment(key, value, new Visible(visible.causal, visible.offset + from, visible.window, visible.keyMask, bias), rows);
        }

        /** The keys {@code from} to {@code to} (exclusive) alone, {@code offset} of them before the first query. */
        public Segment keys(long from, long to, long offset) {
            Optional<Tensor> mask = visible.keyMask.map(m -> m.slice(1, from, to).contiguous());
            Optional<Var> bias = visible.bias.map(b -> b.slice(3, from, to));
            return new Segment(key.slice(2, from, to), value.slice(2, from, to),
                    new Visible(visible.causal, offset, visible.window, mask, bias), rows);
        }
    }

    /** Rows of a batch from {@code first} to {@code last}, exclusive. */
    public record Rows(long first, long last) {}

    /**
     * What a query sees of a segment, as {@link Mask} says; the bias may carry a gradient.
     *
     * @param offset keys before the first query: query t sees key s only if {@code s <= t + offset}
     * @param window if positive, only keys {@code s > t + offset - window}
     * @param keyMask BOOL {@code [B or 1, S]}
     * @param bias {@code [B or 1, H or 1, T or 1, S]}, added to the scores
     */
    public record Visible(boolean causal, long offset, long window, Optional<Tensor> keyMask, Optional<Var> bias) {
        /** Every query sees every key. */
        public static final Visible ALL = new Visible(false, 0, 0, Optional.empty(), Optional.empty());

        /** Keys up to the query's own, with {@code offset} keys before the first query. */
        public static Visible causal(long offset) {
            return new Visible(true, offset, 0, Optional.empty(), Optional.empty());
        }

        public Visible withWindow(long size) {
            return new Visible(causal, offset, size, keyMask, bias);
        }

        public Visible withKeyMask(Tensor mask) {
            return new Visible(causal, offset, window, Optional.of(mask), bias);
        }

        public Visible withBias(Var b) {
            return new Visible(causal, offset, window, keyMask, Optional.of(b));
        }
    }

    /**
     * Dropout of the probabilities, over the keys of all segments.
     *
     * @param p the probability that a key is not seen; what remains is scaled by {@code 1 / (1 - p)}
     * @param seed of the run
     * @param stream what makes this use unique, see {@link Dropout#apply}
     */
    public record Noise(double p, long seed, long stream) {
        public static final Noise NONE = new Noise(0, 0, 0);
    }

    /**
     * The output {@code [B, H, T, Dv]} and the log-sum-exp of the scores {@code [B, H, T]}. A query that sees nothing
     * has output 0 and log-sum-exp -infinity.
     */
    public record Result(Var out, Var lse) {}

    /**
     * Attends to all segments together.
     *
     * @param query {@code [B, H, T, D]}; query head h reads key/value head {@code h / (H / G)}
     * @param scale factor of the scores, usually {@code 1 / sqrt(D)}
     * @param softcap c &gt; 0: scores pass through {@code c tanh(score / c)}; 0: none
     */
    public static Result attend(Var query, List<Segment> segments, double scale, double softcap) {
        return attend(query, segments, scale, softcap, Noise.NONE);
    }

    /**
     * As {@link #attend(Var, List, double, double)}, with dropout of the probabilities. The log-sum-exp is that of all keys. With
     * noise the probabilities are formed: memory grows with T times S.
     */
    public static Result attend(Var query, List<Segment> segments, double scale, double softcap, Noise noise) {
        return attend(query, segments, scale, softcap, noise, Precision.F32);
    }

    /**
     * As {@link #attend(Var, List, double, double, Noise)}, with the operands of all products, those of the derivative included, rounded to
     * BF16 where {@code precision} says so and the backend has a kernel that gains by it; sums and exponentials stay in F32.
     */
    public static Result attend(Var query, List<Segment> segments, double scale, double softcap, Noise noise, Precision precision) {
        check(query, segments);
        if (noise.p() > 0) {
            return AttentionDefinition.attend(query, segments, scale, softcap, noise);
        }
        if (segments.stream().anyMatch(s -> s.rows().isPresent())) {
            return SharedPrefix.attend(query, segments, scale, softcap, precision);
        }
        Optional<AttentionKernel> kernel = query.backend().kernel(AttentionKernel.class);
        boolean biasGradient = segments.stream().anyMatch(s -> s.visible().bias().stream().anyMatch(Var::requiresGrad));
        AttentionKernel.Problem problem = problem(query, segments, scale, softcap, precision);
        if (kernel.isEmpty() || biasGradient || !kernel.get().supports(problem)) {
            return AttentionDefinition.attend(query, segments, scale, softcap);
        }
        return withKernel(kernel.get(), problem, query, segments);
    }

    private static Result withKernel(AttentionKernel kernel, AttentionKernel.Problem problem, Var query,
            List<Segment> segments) {
        long[] shape = query.shape();
        shape[3] = segments.getFirst().value().size(3);
        Tensor out = empty(query.backend(), shape, HEADS_INSIDE);
        Tensor lse = Tensor.empty(query.backend(), DType.F32, Arrays.copyOf(shape, 3));
        kernel.forward(problem, out, lse);
        Var[] inputs = new Var[1 + 2 * segments.size()];
        inputs[0] = query;
        for (int i = 0; i < segments.size(); i++) {
            inputs[1 + 2 * i] = segments.get(i).key();
            inputs[2 + 2 * i] = segments.get(i).value();
        }
        double scale = problem.scale();
        double softcap = problem.softcap();
        Precision precision = problem.precision();
        Var[] result = Fused.record("attention", inputs, new Tensor[] {out, lse}, Reads.EVERYTHING,
                (up, needed) -> backward(kernel, problem(query, segments, scale, softcap, precision), inputs, out, lse, up, needed),
                in -> {
                    List<Segment> again = new ArrayList<>();
                    for (int i = 0; i < segments.size(); i++) {
                        again.add(new Segment(in[1 + 2 * i], in[2 + 2 * i], segments.get(i).visible()));
                    }
                    Result r = AttentionDefinition.attend(in[0], again, scale, softcap);
                    return new Var[] {r.out(), r.lse()};
                });
        return new Result(result[0], result[1]);
    }

    private static Tensor[] backward(AttentionKernel kernel, AttentionKernel.Problem problem, Var[] inputs, Tensor out,
            Tensor lse, Tensor[] up, boolean[] needed) {
        Tensor[] grads = new Tensor[inputs.length];
        for (int i = 0; i < grads.length; i++) {
            if (needed[i]) {
                grads[i] = empty(out.backend(), inputs[i].shape(), order(inputs[i].tensor()));
            }
        }
        List<Optional<Tensor>> dKey = new ArrayList<>();
        List<Optional<Tensor>> dValue = new ArrayList<>();
        for (int i = 1; i < grads.length; i += 2) {
            dKey.add(Optional.ofNullable(grads[i]));
            dValue.add(Optional.ofNullable(grads[i + 1]));
        }
        Tensor dOut = up[0] != null ? up[0] : Tensor.zeros(out.backend(), DType.F32, out.shape());
        kernel.backward(problem, out, lse, dOut, Optional.ofNullable(up[1]), Optional.ofNullable(grads[0]), dKey,
                dValue);
        return grads;
    }

    /** A tensor of a shape whose axes lie in memory in the given order. */
    private static Tensor empty(Backend backend, long[] shape, int[] order) {
        return Tensor.empty(backend, DType.F32, shape[order[0]], shape[order[1]], shape[order[2]], shape[order[3]]).permute(order);
    }

    /** How positions and heads of {@code [B, H, T, D]} lie in memory; the two orders are their own inverses. */
    private static int[] order(Tensor t) {
        return t.stride(1) > 0 && t.stride(1) < t.stride(2) ? HEADS_INSIDE : HEADS_OUTSIDE;
    }

    private static AttentionKernel.Problem problem(Var query, List<Segment> segments, double scale, double softcap,
            Precision precision) {
        return new AttentionKernel.Problem(query.tensor(), segments.stream().map(s -> new AttentionKernel.Segment(
                s.key().tensor(), s.value().tensor(), new Mask(s.visible().causal(), s.visible().offset(),
                        s.visible().window(), s.visible().keyMask(), s.visible().bias().map(Var::tensor)))).toList(),
                scale, softcap, precision);
    }

    private static void check(Var query, List<Segment> segments) {
        if (query.rank() != 4 || segments.isEmpty()) {
            throw new IllegalArgumentException("attention needs queries [B, H, T, D] and at least one segment, got "
                    + Arrays.toString(query.shape()) + " and " + segments.size() + " segments");
        }
        for (Segment s : segments) {
            long[] k = s.key().shape();
            long[] v = s.value().shape();
            boolean ok = k.length == 4 && v.length == 4 && k[3] == query.size(3) && k[0] == v[0] && k[1] == v[1]
                    && k[2] == v[2]
                    && (k[0] == 1 || k[0] == query.size(0)) && k[1] > 0 && query.size(1) % k[1] == 0
                    && v[3] == segments.getFirst().value().size(3) && k[1] == segments.getFirst().key().size(1);
            if (!ok) {
                throw new IllegalArgumentException("attention: queries [B, H, T, D] = " + Arrays.toString(query.shape())
                        + " need keys [B or 1, G, S, D] with H a multiple of G and values [B or 1, G, S, Dv], got "
                        + Arrays.toString(k) + " and " + Arrays.toString(v));
            }
            s.rows().ifPresent(r -> {
                if (r.first() < 0 || r.first() >= r.last() || r.last() > query.size(0) || k[0] != 1 || s.visible() != Visible.ALL) {
                    throw new IllegalArgumentException("attention: rows " + r.first() + " to " + r.last() + " of a batch of "
                            + query.size(0) + " cannot share keys " + Arrays.toString(k) + ". Give rows of the batch, keys of batch size 1 "
                            + "and no mask.");
                }
            });
            s.visible().keyMask().ifPresent(m -> {
                if (m.rank() != 2 || m.size(1) != k[2] || m.size(0) != 1 && m.size(0) != query.size(0)) {
                    throw new IllegalArgumentException("attention: a key mask [B or 1, S] is needed for keys "
                            + Arrays.toString(k) + ", got " + m);
                }
            });
        }
    }
}
