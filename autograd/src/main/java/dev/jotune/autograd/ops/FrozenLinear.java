package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The affine map over a frozen weight in its kernel's own order:
 * {@code y = x W^T + s (x A^T) B^T + bias + residual} in one pass over y, and backward
 * {@code dx = dy W + s (dy B) A} in one pass over dx. The tape holds nothing of W.
 */
public final class FrozenLinear {
    private static final Program TIMES = Program.of(Expr.input(0).times(Expr.input(1)));

    private FrozenLinear() {}

    /** {@code y = x W^T}, {@code x [.., in]}. */
    public static Var apply(Var x, FrozenMatrix weight) {
        return apply(x, weight, Terms.NONE, Precision.F32);
    }

    /**
     * The longest form.
     *
     * @param x {@code [.., in]}
     * @param precision how products read W and what they multiply with it; of the low-rank term A and B are always read in F32, and so is x
     *     but where a kernel makes the scores from the numbers that it multiplies with W
     */
    public static Var apply(Var x, FrozenMatrix weight, Terms terms, Precision precision) {
        check(x, weight, terms);
        List<Var> inputs = new ArrayList<>(List.of(x));
        terms.lowRank().ifPresent(l -> inputs.addAll(List.of(l.input(), l.down(), l.up())));
        terms.bias().ifPresent(inputs::add);
        terms.residual().ifPresent(inputs::add);
        if (inputs.stream().anyMatch(v -> v.dtype() != DType.F32)) {
            return definition(x, weight, terms, precision);
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.out();
        Tensor y = Tensor.empty(x.backend(), DType.F32, shape);
        Optional<Tensor> scores = terms.lowRank().map(l -> scores(y, l.down().size(0)));
        FrozenKernel.Joined others = new FrozenKernel.Joined(Optional.empty(), Optional.empty(), terms.bias().map(Var::tensor),
                terms.residual().map(v -> rows(v.tensor())));
        boolean joined = terms.lowRank().filter(l -> l.input() == x).map(l -> weight.kernel().tryProduct(weight.packed(), rows(x.tensor()), rows(y),
                precision, term(l.down().tensor(), l.up().tensor(), l.scale(), scores.filter(t -> Recording.isOn())), others)).orElse(false);
        if (!joined) {
            terms.lowRank().ifPresent(l -> makeScores(l, scores.orElseThrow()));
            weight.kernel().product(weight.packed(), rows(x.tensor()), rows(y), precision, new FrozenKernel.Joined(scores,
                    terms.lowRank().map(l -> l.up().tensor()), others.bias(), others.residual()));
        }
        Reference.reachabilityFence(weight);
        return Fused.record("frozen_linear", inputs.toArray(Var[]::new), new Tensor[] {y}, reads(terms, x),
                (up, needed) -> backward(up[0], weight, terms, scores, precision, x, needed),
                in -> new Var[] {definition(in[0], weight, with(terms, in), precision)})[0];
    }

    /** {@link Linear} over the weight as it was, and the terms one after another. */
    public static Var definition(Var x, FrozenMatrix weight, Terms terms) {
        return definition(x, weight, terms, Precision.F32);
    }

    private static Var definition(Var x, FrozenMatrix weight, Terms terms, Precision precision) {
        return terms.addTo(Linear.apply(x, Var.constant(weight.dense()), precision));
    }

    /** Of all inputs the derivative reads those of the low-rank term alone; x itself only if it is one of them. */
    private static Reads reads(Terms terms, Var x) {
        if (terms.lowRank().isEmpty()) {
            return Reads.NOTHING;
        }
        Terms.LowRank l = terms.lowRank().get();
        boolean above = x.requiresGrad() || l.input().requiresGrad();
        return above && l.down().requiresGrad() ? Reads.inputs(1, 2, 3)
                : above ? Reads.inputs(2, 3) : Reads.inputs(1, 3);
    }

    /** The same terms of other values, in the order of the recorded inputs. */
    private static Terms with(Terms terms, Var[] in) {
        int at = 1;
        Optional<Terms.LowRank> lowRank = terms.lowRank();
        if (lowRank.isPresent()) {
            lowRank = Optional.of(new Terms.LowRank(in[1], in[2], in[3], lowRank.get().scale()));
            at += 3;
        }
        Optional<Var> bias = terms.bias().isPresent() ? Optional.of(in[at++]) : Optional.empty();
        return new Terms(lowRank, bias, terms.residual().isPresent() ? Optional.of(in[at]) : Optional.empty());
    }

    private static FrozenKernel.LowRank term(Tensor down, Tensor up, double scale, Optional<Tensor> scores) {
        return new FrozenKernel.LowRank(down, up, scale, scores);
    }

    /** Room for scores of the rows of {@code like}, as the kernel of gradients reads them where there is one. */
    private static Tensor scores(Tensor like, long rank) {
        long rows = like.numel() / Math.max(1, like.size(-1));
        return gradients(like).isPresent() ? GroupedLowRankKernel.scores(like.backend(), rows, rank)
                : Tensor.empty(like.backend(), DType.F32, rows, rank);
    }

    private static Optional<GroupedLowRankKernel> gradients(Tensor like) {
        return like.backend().kernel(GroupedLowRankKernel.class);
    }

    /** {@code s x A^T [M, R]}. */
    private static void makeScores(Terms.LowRank l, Tensor out) {
        try (Scope _ = Scope.open()) {
            out.backend().matmul(rows(l.input().tensor()), scaledDown(l).transpose(0, 1), out, false);
        }
    }

    /** {@code s A [R, in]}: the scale goes to the smallest of all factors. */
    private static Tensor scaledDown(Terms.LowRank l) {
        return Recording.off(() -> l.down().mul(l.scale())).tensor();
    }

    private static Tensor[] backward(Tensor up, FrozenMatrix weight, Terms terms, Optional<Tensor> scores, Precision precision,
            Var x, boolean[] needed) {
        Tensor[] g = new Tensor[needed.length];
        Tensor dy = rows(up);
        g[0] = needed[0] ? Tensor.empty(dy.backend(), DType.F32, x.shape()) : null;
        int at = terms.lowRank().isPresent() ? 4 : 1;
        boolean done = terms.lowRank().isPresent() && termBack(dy, weight, terms.lowRank().get(), scores.orElseThrow(), precision, x, needed, g);
        if (needed[0] && !done) {
            dx(dy, weight, precision, FrozenKernel.Joined.NONE, g);
        }
        if (terms.bias().isPresent()) {
            if (needed[at]) {
                Tensor sum = Tensor.empty(dy.backend(), DType.F32, 1, weight.out());
                dy.backend().reduce(Reduction.SUM, dy, sum);
                g[at] = sum.reshape(weight.out());
            }
            at++;
        }
        if (terms.residual().isPresent() && needed[at]) {
            g[at] = up;
        }
        return g;
    }

    /**
     * What comes of the low-rank term: gradients of its input and factors, and where its input is the map's, dx with them.
     *
     * @return whether dx was made
     */
    private static boolean termBack(Tensor dy, FrozenMatrix weight, Terms.LowRank l, Tensor scores, Precision precision, Var x, boolean[] needed,
            Tensor[] g) {
        boolean same = needed[0] && l.input() == x;
        boolean through = same || needed[1] || needed[2];
        // s dy B, through which everything of the term but B itself goes.
        Tensor h = through ? scores(dy, l.up().size(1)) : scores;
        boolean joined = false;
        if (same) {
            joined = weight.kernel().tryProductBack(weight.packed(), dy, rows(g[0]), precision,
                    term(l.up().tensor().transpose(0, 1), l.down().tensor().transpose(0, 1), l.scale(), Optional.of(h).filter(t -> needed[2])),
                    FrozenKernel.Joined.NONE);
            Reference.reachabilityFence(weight);
        }
        if (through && !joined) {
            h.backend().matmul(dy, l.up().tensor(), h, false);
            if (l.scale() != 1) {
                h.backend().map(TIMES, new Tensor[] {h, Tensor.full(dy.backend(), DType.F32, l.scale())}, new Tensor[] {h});
            }
            // A is read only here: where no input wants a gradient it may be gone by now.
            if (same) {
                dx(dy, weight, precision, new FrozenKernel.Joined(Optional.of(h), Optional.of(l.down().tensor().transpose(0, 1)), Optional.empty(),
                        Optional.empty()), g);
            } else if (needed[1]) {
                g[1] = Tensor.empty(dy.backend(), DType.F32, l.input().shape());
                g[1].backend().matmul(h, l.down().tensor(), rows(g[1]), false);
            }
        }
        factors(dy, l, scores, h, needed, g);
        return same;
    }

    /** Gradients of A and B: both in one launch where the backend has a kernel for them. */
    private static void factors(Tensor dy, Terms.LowRank l, Tensor scores, Tensor h, boolean[] needed, Tensor[] g) {
        Optional<GroupedLowRankKernel> kernel = gradients(dy);
        if (needed[2] && needed[3] && kernel.isPresent()) {
            List<Tensor> both = kernel.get().gradients(rows(l.input().tensor()), dy, scores, h);
            g[2] = both.get(0);
            g[3] = both.get(1).transpose(0, 1);
            return;
        }
        if (needed[2]) {
            g[2] = Tensor.empty(dy.backend(), DType.F32, l.down().shape());
            g[2].backend().matmul(h.transpose(0, 1), rows(l.input().tensor()), g[2], false);
        }
        if (needed[3]) {
            // As (scores^T dy)^T: the long rows of dy are read as they lie.
            Tensor product = Tensor.empty(dy.backend(), DType.F32, l.up().size(1), l.up().size(0));
            product.backend().matmul(scores.transpose(0, 1), dy, product, false);
            g[3] = product.transpose(0, 1);
        }
    }

    private static void dx(Tensor dy, FrozenMatrix weight, Precision precision, FrozenKernel.Joined joined, Tensor[] g) {
        weight.kernel().productBack(weight.packed(), dy, rows(g[0]), precision, joined);
        Reference.reachabilityFence(weight);
    }

    /** {@code [M, last]}, contiguous. */
    private static Tensor rows(Tensor t) {
        return t.contiguous().reshape(t.numel() / Math.max(1, t.size(-1)), t.size(-1));
    }

    private static void check(Var x, FrozenMatrix weight, Terms terms) {
        if (x.rank() < 1 || x.size(-1) != weight.in()) {
            throw new IllegalArgumentException("linear needs x [.., in] and weight [out, in], got " + Arrays.toString(x.shape())
                    + " and [" + weight.out() + ", " + weight.in() + "], packed");
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.out();
        terms.lowRank().ifPresent(l -> {
            long rank = l.down().size(0);
            if (!Arrays.equals(l.input().shape(), x.shape()) || !Arrays.equals(l.down().shape(), new long[] {rank, weight.in()})
                    || !Arrays.equals(l.up().shape(), new long[] {weight.out(), rank})) {
                throw new IllegalArgumentException("a low-rank term of a map [" + weight.out() + ", " + weight.in()
                        + "] needs x like the map's, A [R, in] and B [out, R], got " + Arrays.toString(l.input().shape()) + ", "
                        + Arrays.toString(l.down().shape()) + " and " + Arrays.toString(l.up().shape()));
            }
        });
        terms.bias().ifPresent(b -> sameShape("bias", b, weight.out()));
        terms.residual().ifPresent(r -> sameShape("residual", r, shape));
    }

    private static void sameShape(String what, Var v, long... shape) {
        if (!Arrays.equals(v.shape(), shape)) {
            throw new IllegalArgumentException("the " + what + " of a linear map to " + Arrays.toString(shape) + " has shape "
                    + Arrays.toString(v.shape()) + ". Stretch it with expandTo first.");
        }
    }
}
