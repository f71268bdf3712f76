package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
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
    private FrozenLinear() {}

    /** {@code y = x W^T}, {@code x [.., in]}. */
    public static Var apply(Var x, FrozenMatrix weight) {
        return apply(x, weight, Terms.NONE, Precision.F32);
    }

    /**
     * The longest form.
     *
     * @param x {@code [.., in]}
     * @param precision how products read W and what they multiply with it; the low-rank term is always read in F32
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
        Optional<Tensor> scores = terms.lowRank().map(l -> scores(l, y));
        FrozenKernel.Joined joined = new FrozenKernel.Joined(scores, terms.lowRank().map(l -> l.up().tensor()),
                terms.bias().map(Var::tensor), terms.residual().map(v -> rows(v.tensor())));
        weight.kernel().product(weight.packed(), rows(x.tensor()), rows(y), precision, joined);
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

    /** {@code s x A^T [M, R]}. */
    private static Tensor scores(Terms.LowRank l, Tensor like) {
        Tensor out = Tensor.empty(like.backend(), DType.F32, like.numel() / Math.max(1, like.size(-1)), l.down().size(0));
        try (Scope scope = Scope.open()) {
            out.backend().matmul(rows(l.input().tensor()), scaledDown(l).transpose(0, 1), out, false);
        }
        return out;
    }

    /** {@code s A [R, in]}: the scale goes to the smallest of all factors. */
    private static Tensor scaledDown(Terms.LowRank l) {
        return Recording.off(() -> l.down().mul(l.scale())).tensor();
    }

    private static Tensor[] backward(Tensor up, FrozenMatrix weight, Terms terms, Optional<Tensor> scores, Precision precision,
            Var x, boolean[] needed) {
        Tensor[] g = new Tensor[needed.length];
        Tensor dy = rows(up);
        int at = 1;
        Optional<Tensor> left = Optional.empty();
        Optional<Tensor> right = Optional.empty();
        if (terms.lowRank().isPresent()) {
            Terms.LowRank l = terms.lowRank().get();
            boolean same = l.input() == x;
            if (needed[0] && same || needed[1] || needed[2]) {
                // dy B, through which everything of the term but B itself goes.
                Tensor h = Tensor.empty(dy.backend(), DType.F32, dy.size(0), l.up().size(1));
                h.backend().matmul(dy, l.up().tensor(), h, false);
                // A is read only here: where no input wants a gradient it may be gone by now.
                if (needed[0] && same) {
                    left = Optional.of(h);
                    right = Optional.of(scaledDown(l).transpose(0, 1));
                } else if (needed[1]) {
                    g[1] = Tensor.empty(dy.backend(), DType.F32, l.input().shape());
                    g[1].backend().matmul(h, scaledDown(l), rows(g[1]), false);
                }
                if (needed[2]) {
                    Tensor product = Tensor.empty(dy.backend(), DType.F32, l.down().shape());
                    product.backend().matmul(h.transpose(0, 1), rows(l.input().tensor()), product, false);
                    g[2] = Recording.off(() -> Var.constant(product).mul(l.scale())).tensor();
                }
            }
            if (needed[3]) {
                // As (scores^T dy)^T: the long rows of dy are read as they lie.
                Tensor product = Tensor.empty(dy.backend(), DType.F32, l.up().size(1), l.up().size(0));
                product.backend().matmul(scores.orElseThrow().transpose(0, 1), dy, product, false);
                g[3] = product.transpose(0, 1);
            }
            at += 3;
        }
        if (needed[0]) {
            g[0] = Tensor.empty(dy.backend(), DType.F32, x.shape());
            weight.kernel().productBack(weight.packed(), dy, rows(g[0]), precision,
                    new FrozenKernel.Joined(left, right, Optional.empty(), Optional.empty()));
            Reference.reachabilityFence(weight);
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
