package dev.jotune.cuda;

import dev.jotune.cuda.CudaProducts.Extra;
import dev.jotune.cuda.GemmSources.Pieces;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.util.Optional;

/**
 * Products with frozen weights on tensor cores, where compute capability 9.0 has them, with all that joins in one pass over the result. A weight
 * stays as it is: kernels read both orders.
 *
 * <p>In {@link Precision#BF16} activations are rounded. In {@link Precision#F32} those that meet a BF16 weight are split into three BF16
 * numbers each, with nothing lost, and the three products are summed: numbers below about 1e-33 lose their last bits, and infinities
 * give NaN. A low-rank term {@code left right^T} is a few more steps of the inner axis: the products of first pieces, and of first
 * with second ones, so that 2^-16 of a term is lost at most; a bias is three more, in which left is 1.
 *
 * <p>In BF16 a term's scores are made of rounded activations too, and A and B lose 2^-16 as above: in the product's own launch, by warps, where
 * that costs less ({@link CudaJoined#pays}), else by a product before it.
 *
 * <p>Elsewhere the terms follow the product one by one.
 */
final class CudaFrozen implements FrozenKernel {
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));
    /** Of both pieces of A, times s. */
    private static final Program SCORES = Program.of(Expr.input(0).plus(Expr.input(1)).times(Expr.input(2)));
    /** Halves in 16 bytes, at whose multiples lines begin. */
    private static final int EIGHT = 8;
    private static final int PIECES = 3;
    /** Rows of x from which splitting it costs less than multiplying without tensor cores. */
    private static final long SPLIT_ROWS = 64;

    private final CudaBackend device;
    private final CudaProducts products;
    private final CudaJoined joins;
    private final Scores scores;

    CudaFrozen(CudaBackend device, CudaProducts products) {
        this(device, products, Scores.CHOSEN);
    }

    /** Where a term's scores are made: wherever that costs less, or for tests always beside the product, or always before it. */
    enum Scores { CHOSEN, BESIDE, BEFORE }

    CudaFrozen(CudaBackend device, CudaProducts products, Scores scores) {
        this.device = device;
        this.products = products;
        this.joins = new CudaJoined(device, products);
        this.scores = scores;
    }

    /** The weight itself, rows contiguous. */
    private record Weight(Tensor tensor) implements Packed {
        @Override
        public long rows() {
            return tensor.size(0);
        }

        @Override
        public long columns() {
            return tensor.size(1);
        }

        @Override
        public long byteSize() {
            return tensor.numel() * tensor.dtype().byteSize();
        }

        @Override
        public Optional<Tensor> stored() {
            return Optional.of(tensor);
        }

        @Override
        public void unpack(Tensor out) {
            out.copyFrom(tensor);
        }

        @Override
        public void unpackRows(long[] ids, Tensor out) {
            Tensor at = Tensor.of(out.backend(), ids, ids.length);
            out.backend().gather(tensor, at, out);
            at.storage().free();
        }
    }

    @Override
    public boolean supports(Tensor weight) {
        return weight.rank() == 2 && weight.numel() > 0
                && (weight.dtype() == DType.F32 || weight.dtype() == DType.BF16 || weight.dtype() == DType.F16);
    }

    /** No copy is made of a weight whose rows are contiguous. */
    @Override
    public Packed pack(Tensor weight) {
        if (!supports(weight)) {
            throw new IllegalArgumentException("A weight " + weight + " cannot be packed. Ask supports first: it takes F32, BF16 and F16 [out, in].");
        }
        return new Weight(weight.isContiguous() ? weight : Scope.detach(weight.copy()));
    }

    @Override
    public void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined) {
        run(own(weight).transpose(0, 1), x, Optional.empty(), y, precision, joined);
    }

    @Override
    public void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined) {
        run(own(weight), dy, Optional.empty(), dx, precision, joined);
    }

    @Override
    public boolean tryProduct(Packed weight, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined) {
        return join(own(weight).transpose(0, 1), x, y, precision, term, joined);
    }

    @Override
    public boolean tryProductBack(Packed weight, Tensor dy, Tensor dx, Precision precision, LowRank term, Joined joined) {
        return join(own(weight), dy, dx, precision, term, joined);
    }

    private boolean join(Tensor w, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined) {
        check(w, x, y, joined);
        long rank = term.down().size(0);
        check(term.down(), "A", rank, w.size(0));
        check(term.up(), "B", w.size(1), rank);
        term.scores().ifPresent(s -> check(s, "the scores", y.size(0), rank));
        if (precision != Precision.BF16 || !joins.supports(w, y, rank)) {
            return false;
        }
        boolean one = scores == Scores.BESIDE || scores == Scores.CHOSEN && joins.pays(y.size(0), y.size(1), x.size(1), rank);
        try (Scope _ = Scope.open()) {
            int lines = CudaJoined.ranks(rank);
            Tensor down = Tensor.empty(device, DType.BF16, PIECES, lines, x.size(1));
            if (lines > rank) {
                device.fill(down, 0);
            }
            split(Pieces.FALLING, term.down(), down, down.stride(0), down.stride(1), 1);
            Tensor pieces = down.reshape((long) PIECES * lines, x.size(1));
            Tensor a = x.to(DType.BF16);
            if (one) {
                joined.residual().ifPresent(y::copyFrom);
                joins.multiply(a, w, y, joined.residual().isPresent(), pieces, term, joined.bias());
                return true;
            }
            Tensor both = Tensor.empty(device, DType.F32, x.size(0), 2L * lines);
            if (!products.tryMultiply(a, pieces.slice(0, 0, 2L * lines).transpose(0, 1), both, false)) {
                return false;
            }
            Tensor left = term.scores().orElseGet(() -> Tensor.empty(device, DType.F32, x.size(0), rank));
            device.map(SCORES, new Tensor[] {both.slice(1, 0, rank), both.slice(1, lines, lines + rank),
                Tensor.full(device, DType.F32, term.scale(), 1, 1)}, new Tensor[] {left});
            run(w, x, Optional.of(a), y, precision, new Joined(Optional.of(left), Optional.of(term.up()), joined.bias(), joined.residual()));
            return true;
        }
    }

    private static Tensor own(Packed weight) {
        if (weight instanceof Weight w) {
            return w.tensor;
        }
        throw new IllegalArgumentException("The weight was packed by another kernel, as " + weight.getClass().getSimpleName()
                + ". Pack it with this one.");
    }

    /** {@code y = x w} and what joins it, w {@code [K, N]}; {@code narrow} is x in BF16, if it is there. */
    private void run(Tensor w, Tensor x, Optional<Tensor> narrow, Tensor y, Precision precision, Joined joined) {
        check(w, x, y, joined);
        if (y.numel() == 0) {
            return;
        }
        joined.residual().ifPresent(y::copyFrom);
        boolean add = joined.residual().isPresent();
        try (Scope _ = Scope.open()) {
            boolean rounded = precision == Precision.BF16;
            boolean pieces = !rounded && w.dtype() == DType.BF16 && x.size(0) >= SPLIT_ROWS && products.hasGroups();
            Tensor a = rounded ? narrow.orElseGet(() -> x.to(DType.BF16)) : x;
            Tensor b = rounded ? w.to(DType.BF16) : w;
            if ((rounded || pieces) && products.tryPieces(pieces ? split(x) : a.unsqueeze(0), b, y, add,
                    extra(joined, y.size(0), y.size(1), b.stride(0) == 1))) {
                return;
            }
            device.matmul(a, b, y, add);
        }
        joined.left().ifPresent(left -> device.matmul(left, joined.right().orElseThrow().transpose(0, 1), y, true));
        joined.bias().ifPresent(bias -> device.map(SUM, new Tensor[] {y, bias}, new Tensor[] {y}));
    }

    /** {@code [3, M, K]}: x in pieces, the smallest first. */
    private Tensor split(Tensor x) {
        Tensor all = Tensor.empty(device, DType.BF16, PIECES, x.size(0), padded(x.size(1))).slice(2, 0, x.size(1));
        split(Pieces.ALL, x, all, all.stride(0), all.stride(1), all.stride(2));
        return all;
    }

    private void split(Pieces pieces, Tensor x, Tensor y, long plane, long row, long column) {
        CudaSource kernel = pieces.source();
        long groups = Math.min((x.numel() + kernel.kernel().group() - 1) / kernel.kernel().group(), 16L * device.units());
        device.launch(kernel, groups, 1, 1, x, y, x.size(0), x.size(1), x.stride(0), x.stride(1), plane, row, column);
    }

    /**
     * The terms that are products as further numbers of the inner axis.
     *
     * @param inner whether b's lines lie along the inner axis
     */
    private Optional<Extra> extra(Joined joined, long m, long n, boolean inner) {
        long rank = joined.left().map(l -> l.size(1)).orElse(0L);
        long bias = joined.bias().isPresent() ? PIECES : 0;
        long all = PIECES * rank + bias;
        if (all == 0) {
            return Optional.empty();
        }
        Tensor a = Tensor.empty(device, DType.BF16, m, padded(all)).slice(1, 0, all);
        Tensor b = inner ? Tensor.empty(device, DType.BF16, n, padded(all)).slice(1, 0, all).transpose(0, 1)
                : Tensor.empty(device, DType.BF16, all, padded(n)).slice(1, 0, n);
        if (rank > 0) {
            split(Pieces.LEFT, joined.left().get(), a, rank, a.stride(0), 1);
            split(Pieces.RIGHT, joined.right().orElseThrow(), b, rank * b.stride(0), b.stride(1), b.stride(0));
        }
        if (bias > 0) {
            device.fill(a.slice(1, all - bias, all), 1);
            split(Pieces.ALL, joined.bias().get().unsqueeze(1), b.slice(0, all - bias, all), b.stride(0), b.stride(1), 0);
        }
        return Optional.of(new Extra(a, b));
    }

    private static long padded(long n) {
        return (n + EIGHT - 1) / EIGHT * EIGHT;
    }

    private static void check(Tensor w, Tensor x, Tensor y, Joined joined) {
        long m = y.size(0);
        long n = y.size(1);
        check(x, "the left factor", m, w.size(0));
        check(y, "the result", m, w.size(1));
        if (joined.left().isPresent() != joined.right().isPresent()) {
            throw new IllegalArgumentException("A low-rank term has only its " + (joined.left().isPresent() ? "left" : "right")
                    + " factor. Give both or none.");
        }
        joined.left().ifPresent(l -> check(l, "the low-rank term's left factor", m, l.size(1)));
        joined.right().ifPresent(r -> check(r, "the low-rank term's right factor", n, joined.left().orElseThrow().size(1)));
        joined.bias().ifPresent(b -> check(b.unsqueeze(0), "the bias", 1, n));
        joined.residual().ifPresent(r -> check(r, "the residual", m, n));
    }

    private static void check(Tensor t, String what, long rows, long columns) {
        if (t.dtype() != DType.F32 || t.rank() != 2 || t.size(0) != rows || t.size(1) != columns) {
            throw new IllegalArgumentException("As " + what + " of this product came " + t + ". Give F32 [" + rows + ", " + columns + "].");
        }
    }
}
