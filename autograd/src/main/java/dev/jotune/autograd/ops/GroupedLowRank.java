package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Factors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Low-rank terms of rows with adapters of their own: {@code y_i + s_g (x_i A_g^T) B_g^T} with g the adapter of row i. Where the backend has a
 * {@link GroupedLowRankKernel} all of it is one launch, and so is what goes back; elsewhere an adapter's rows are two thin products.
 */
public final class GroupedLowRank {
    /** Inputs before the factors: y and x. */
    private static final int OTHERS = 2;

    private GroupedLowRank() {}

    /** One adapter: A {@code [R, in]}, B {@code [out, R]} and s; ranks may differ. */
    public record Adapter(Var down, Var up, double scale) {
        private Factors factors() {
            return new Factors(down.tensor(), up.tensor(), scale);
        }
    }

    /** The rows of one adapter. */
    private record Rows(int adapter, long[] ids) {
        /** Whether they are neighbours. */
        private boolean run() {
            return ids[ids.length - 1] - ids[0] == ids.length - 1;
        }

        private Tensor at(Tensor like) {
            return Tensor.of(like.backend(), ids, ids.length);
        }

        /** {@code t[rows]}: a view where they are neighbours. */
        Tensor of(Tensor t) {
            if (run()) {
                return t.slice(0, ids[0], ids[0] + ids.length);
            }
            Tensor out = Tensor.empty(t.backend(), t.dtype(), ids.length, t.size(1));
            t.backend().gather(t, at(t), out);
            return out;
        }

        /** {@code to[rows] += a b}. */
        void addProduct(Tensor a, Tensor b, Tensor to) {
            if (run()) {
                to.backend().matmul(a, b, of(to), true);
                return;
            }
            Tensor part = Tensor.empty(to.backend(), to.dtype(), ids.length, to.size(1));
            to.backend().matmul(a, b, part, false);
            to.backend().scatterAdd(part, at(to), to);
        }
    }

    /**
     * The terms, written over {@code y}.
     *
     * @param y {@code [.., out]}, made for the caller alone by a product or a sum, and not used afterwards
     * @param x {@code [.., in]} with the leading sizes of y
     * @param rows the adapter's number of each row of x as a matrix, negative for none
     */
    public static Var addTo(Var y, Var x, List<Adapter> adapters, int[] rows) {
        check(y, x, adapters, rows);
        List<Var> inputs = inputs(y, x, adapters);
        DType type = inputs.stream().anyMatch(v -> v.dtype() == DType.F64) ? DType.F64 : DType.F32;
        // A gradient has its operand's type, which sums in F32 are not where that is narrower.
        if (y.dtype() != type || !y.tensor().isContiguous() || inputs.stream().anyMatch(v -> v.requiresGrad() && v.dtype() != type)) {
            return definition(y, x, adapters, rows);
        }
        boolean keeps = Recording.isOn() && adapters.stream().anyMatch(a -> a.up().requiresGrad());
        Tensor out = y.tensor();
        List<Factors> factors = factors(adapters);
        Optional<GroupedLowRankKernel> kernel = type == DType.F64 ? Optional.empty()
                : x.backend().kernel(GroupedLowRankKernel.class).filter(k -> k.supports(factors));
        Fused.Backward backward;
        if (kernel.isPresent()) {
            backward = inOneLaunch(kernel.get(), out, x, adapters, rows, keeps);
        } else {
            backward = oneByOne(out, x, adapters, byAdapter(adapters.size(), rows), keeps);
        }
        return Fused.record("grouped_low_rank", inputs.toArray(Var[]::new), new Tensor[] {out}, reads(x, adapters), backward,
                in -> new Var[] {definition(in[0], in[1], with(adapters, in), rows)})[0];
    }

    private static Fused.Backward inOneLaunch(GroupedLowRankKernel kernel, Tensor y, Var x, List<Adapter> adapters, int[] rows, boolean keeps) {
        long rank = adapters.stream().mapToLong(a -> a.down().size(0)).max().orElse(0);
        Optional<Tensor> scores = keeps ? Optional.of(GroupedLowRankKernel.scores(y.backend(), rows.length, rank)) : Optional.empty();
        try (Scope _ = Scope.open()) {
            kernel.add(kernel.plan(factors(adapters), rows), matrix(x.tensor()), scores, Optional.of(matrix(y)));
        }
        return (up, needed) -> {
            Tensor[] g = new Tensor[needed.length];
            g[0] = needed[0] ? up[0] : null;
            Tensor dy = matrix(up[0]);
            boolean trained = IntStream.range(OTHERS, needed.length).anyMatch(i -> needed[i]);
            boolean down = IntStream.range(OTHERS, needed.length).anyMatch(i -> i % 2 == 0 && needed[i]);
            g[1] = needed[1] ? Tensor.zeros(dy.backend(), DType.F32, x.shape()) : null;
            Optional<Tensor> back = down ? Optional.of(GroupedLowRankKernel.scores(dy.backend(), rows.length, rank)) : Optional.empty();
            if (needed[1] || down) {
                List<Factors> turned = factors(adapters).stream().map(Factors::transposed).toList();
                kernel.add(kernel.plan(turned, rows), dy, back, Optional.ofNullable(g[1]).map(GroupedLowRank::matrix));
            }
            if (trained) {
                // A factor that does not train has sums made along, of whatever numbers: nobody reads them.
                List<Tensor> sums = kernel.gradients(kernel.plan(factors(adapters), rows), matrix(x.tensor()), dy,
                        scores.or(() -> back).orElseThrow(), back.or(() -> scores).orElseThrow());
                for (int i = 0; i < adapters.size(); i++) {
                    g[OTHERS + 2 * i] = needed[OTHERS + 2 * i] ? sums.get(i) : null;
                    g[OTHERS + 2 * i + 1] = needed[OTHERS + 2 * i + 1] ? sums.get(adapters.size() + i).transpose(0, 1) : null;
                }
            }
            return g;
        };
    }

    private static Fused.Backward oneByOne(Tensor y, Var x, List<Adapter> adapters, List<Rows> groups, boolean keeps) {
        List<Tensor> scores = new ArrayList<>();
        for (Rows r : groups) {
            Adapter a = adapters.get(r.adapter);
            Tensor own = Tensor.empty(y.backend(), y.dtype(), r.ids.length, a.down().size(0));
            try (Scope _ = Scope.open()) {
                y.backend().matmul(r.of(matrix(x.tensor())), scaledDown(a).transpose(0, 1), own, false);
                r.addProduct(own, a.up().tensor().transpose(0, 1), matrix(y));
            }
            if (keeps) {
                scores.add(own);
            } else {
                Scope.free(own);
            }
        }
        return (up, needed) -> {
            Tensor[] g = new Tensor[needed.length];
            g[0] = needed[0] ? up[0] : null;
            Tensor dy = matrix(up[0]);
            for (int i = 1; i < needed.length; i++) {
                Tensor like = i == 1 ? x.tensor() : i % 2 == 0 ? adapters.get(i / 2 - 1).down().tensor() : adapters.get(i / 2 - 1).up().tensor();
                g[i] = needed[i] ? Tensor.zeros(dy.backend(), dy.dtype(), like.shape()) : null;
            }
            for (int k = 0; k < groups.size(); k++) {
                Rows r = groups.get(k);
                Adapter a = adapters.get(r.adapter);
                int at = OTHERS + 2 * r.adapter;
                try (Scope _ = Scope.open()) {
                    Tensor own = r.of(dy);
                    if (needed[1] || needed[at]) {
                        Tensor h = Tensor.empty(dy.backend(), dy.dtype(), r.ids.length, a.up().size(1));
                        h.backend().matmul(own, a.up().tensor(), h, false);
                        if (needed[1]) {
                            r.addProduct(h, scaledDown(a), matrix(g[1]));
                        }
                        if (needed[at]) {
                            Tensor scaled = Recording.off(() -> Var.constant(h).mul(a.scale())).tensor();
                            scaled.backend().matmul(scaled.transpose(0, 1), r.of(matrix(x.tensor())), g[at], false);
                        }
                    }
                    if (needed[at + 1]) {
                        // As (scores^T dy)^T: the long rows of dy are read as they lie.
                        dy.backend().matmul(scores.get(k).transpose(0, 1), own, g[at + 1].transpose(0, 1), false);
                    }
                }
            }
            return g;
        };
    }

    /** {@code s A [R, in]}. */
    private static Tensor scaledDown(Adapter a) {
        return Recording.off(() -> a.down().mul(a.scale())).tensor();
    }

    /** Adapter by adapter: its rows gathered, multiplied twice, and added where they came from. */
    public static Var definition(Var y, Var x, List<Adapter> adapters, int[] rows) {
        Var sum = y.reshape(rows.length, y.size(-1));
        Var from = x.reshape(rows.length, x.size(-1));
        for (Rows r : byAdapter(adapters.size(), rows)) {
            Adapter a = adapters.get(r.adapter);
            Tensor ids = r.at(x.tensor());
            Var part = Linear.apply(Linear.apply(Lookup.gather(from, ids), a.down().mul(a.scale())), a.up());
            sum = sum.add(Lookup.scatterAdd(part, ids, rows.length));
        }
        return sum.reshape(y.shape());
    }

    private static List<Var> inputs(Var y, Var x, List<Adapter> adapters) {
        List<Var> all = new ArrayList<>(List.of(y, x));
        adapters.forEach(a -> all.addAll(List.of(a.down(), a.up())));
        return all;
    }

    private static List<Adapter> with(List<Adapter> adapters, Var[] in) {
        return IntStream.range(0, adapters.size()).mapToObj(g -> new Adapter(in[OTHERS + 2 * g], in[OTHERS + 2 * g + 1], adapters.get(g).scale()))
                .toList();
    }

    private static List<Factors> factors(List<Adapter> adapters) {
        return adapters.stream().map(Adapter::factors).toList();
    }

    /** Of y nothing; x where some factor trains, since one launch makes all their gradients; A and B for the way back. */
    private static Reads reads(Var x, List<Adapter> adapters) {
        int count = OTHERS + 2 * adapters.size();
        if (count > Long.SIZE) {
            return Reads.EVERYTHING;
        }
        boolean down = adapters.stream().anyMatch(a -> a.down().requiresGrad());
        boolean trained = down || adapters.stream().anyMatch(a -> a.up().requiresGrad());
        List<Integer> read = new ArrayList<>();
        for (int i = 1; i < count; i++) {
            // A is read on the way to x, B on the way to x or to A.
            boolean factor = i % 2 == 0 ? x.requiresGrad() : x.requiresGrad() || down;
            if (i < OTHERS ? trained : factor) {
                read.add(i);
            }
        }
        return Reads.inputs(read.stream().mapToInt(i -> i).toArray());
    }

    /** The rows of each adapter that has some. */
    private static List<Rows> byAdapter(int adapters, int[] rows) {
        List<Rows> all = new ArrayList<>();
        for (int g = 0; g < adapters; g++) {
            int of = g;
            long[] ids = IntStream.range(0, rows.length).filter(i -> rows[i] == of).asLongStream().toArray();
            if (ids.length > 0) {
                all.add(new Rows(g, ids));
            }
        }
        return all;
    }

    /** {@code [M, last]}, rows contiguous. */
    private static Tensor matrix(Tensor t) {
        return t.contiguous().reshape(t.numel() / Math.max(1, t.size(-1)), t.size(-1));
    }

    private static void check(Var y, Var x, List<Adapter> adapters, int[] rows) {
        if (adapters.isEmpty() || y.rank() < 1 || x.rank() != y.rank()
                || !Arrays.equals(Arrays.copyOf(x.shape(), x.rank() - 1), Arrays.copyOf(y.shape(), y.rank() - 1))
                || x.tensor().numel() != rows.length * x.size(-1)) {
            throw new IllegalArgumentException("Terms of rows with adapters of their own were asked for with y " + Arrays.toString(y.shape()) + ", x "
                    + Arrays.toString(x.shape()) + ", " + adapters.size() + " adapters and " + rows.length + " rows. Give y [.., out], x [.., in] "
                    + "with the same leading sizes, at least one adapter and a number for each row.");
        }
        GroupedLowRankKernel.check(factors(adapters), rows);
        if (adapters.getFirst().down().size(1) != x.size(-1) || adapters.getFirst().up().size(0) != y.size(-1)) {
            throw new IllegalArgumentException("Adapters of a map from " + adapters.getFirst().down().size(1) + " to "
                    + adapters.getFirst().up().size(0) + " cannot join one from " + x.size(-1) + " to " + y.size(-1)
                    + ". Give A [R, in] and B [out, R].");
        }
    }
}
