package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.ref.Reference;
import java.util.Optional;
import java.util.function.Supplier;

/** Products with frozen weights in machine code: F32 or BF16 weights, in either precision, in both directions from one copy. */
public final class FrozenProducts implements FrozenKernel {
    /** Outputs and inputs from which a panel is worth its packing. */
    private static final int SMALLEST = 16;
    private final Supplier<Parallel> pool;
    private final VectorPanels copies;
    private final KernelChoice choice;
    private final DenseProducts dense;

    FrozenProducts(Supplier<Parallel> pool, VectorPanels copies, KernelChoice choice, DenseProducts dense) {
        this.pool = pool;
        this.copies = copies;
        this.choice = choice;
        this.dense = dense;
    }

    @Override
    public boolean supports(Tensor weight) {
        return weight.rank() == 2 && (weight.dtype() == DType.F32 || weight.dtype() == DType.BF16)
                && weight.size(0) >= SMALLEST && weight.size(1) >= SMALLEST
                && weight.size(0) <= Integer.MAX_VALUE / 2 && weight.size(1) <= Integer.MAX_VALUE / 2;
    }

    @Override
    public Packed pack(Tensor weight) {
        if (!supports(weight)) {
            throw new IllegalArgumentException("A weight " + weight + " cannot be packed for machine code. Ask supports first: it takes F32 and "
                    + "BF16 [out, in], both at least " + SMALLEST + ".");
        }
        return new FrozenPanels(weight, pool.get(), copies);
    }

    @Override
    public void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined) {
        run(weight, x, y, precision, joined, false);
    }

    @Override
    public void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined) {
        run(weight, dy, dx, precision, joined, true);
    }

    @Override
    public boolean tryProduct(Packed weight, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined) {
        return run(weight, x, y, precision, term, joined, false);
    }

    @Override
    public boolean tryProductBack(Packed weight, Tensor dy, Tensor dx, Precision precision, LowRank term, Joined joined) {
        return run(weight, dy, dx, precision, term, joined, true);
    }

    /** Scores in a product of their own, from F32 in either precision; only then the product that they join, if they could be made. */
    private boolean run(Packed weight, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined, boolean back) {
        int m = Math.toIntExact(x.size(0));
        Tensor down = term.down();
        int rank = Math.toIntExact(down.size(0));
        check(x, m, Math.toIntExact(down.size(1)), "the left factor");
        Tensor scores = term.scores().orElseGet(() -> Tensor.empty(x.backend(), DType.F32, m, rank));
        check(scores, m, rank, "the scores");
        boolean made = dense.run(m, rank, Math.toIntExact(down.size(1)), new Matrix(x.address(), x.dtype(), x.stride(0), x.stride(1)),
                new Matrix(down.address(), down.dtype(), down.stride(1), down.stride(0)), scores.address(), scores.stride(0),
                Epilogue.times((float) term.scale()));
        if (made) {
            run(weight, x, y, precision, new Joined(Optional.of(scores), Optional.of(term.up()), joined.bias(), joined.residual()), back);
        }
        Reference.reachabilityFence(new Object[] {x, down, scores});
        return made;
    }

    private void run(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined, boolean back) {
        if (!(weight instanceof FrozenPanels w)) {
            throw new IllegalArgumentException("The weight was packed by another kernel, as " + weight.getClass().getSimpleName()
                    + ". Pack it with this one.");
        }
        int k = back ? w.rows : w.columns;
        int n = back ? w.columns : w.rows;
        int m = Math.toIntExact(x.size(0));
        check(x, m, k, "the left factor");
        check(y, m, n, "the result");
        Operands operands = choice.operands(precision, w.paired, back, m);
        boolean rounded = operands == Operands.BF16;
        Rows rows = operands.isSplit() ? new SplitRows(x.address(), 4 * x.stride(0), operands, copies)
                : new KeptRows(x.address(), 4 * x.stride(0), rounded ? copies : null);
        boolean pairs = rounded || operands == Operands.SPLIT_PAIRED;
        Panels kept = back ? w.back(pairs, copies) : w.forward(pairs, copies);
        Panels panels = operands.rightPieces() > 1 ? new SplitPanels(kept, operands, copies) : kept;
        Tensor left = dense(joined.left());
        // As a backward pass has it: the transpose of a factor that lies in rows.
        boolean turned = joined.right().map(r -> r.stride(0) == 1 && r.stride(1) != 1 && r.size(1) > 1).orElse(false);
        Tensor right = dense(turned ? joined.right().map(r -> r.transpose(0, 1)) : joined.right());
        Tensor bias = dense(joined.bias());
        Tensor residual = dense(joined.residual());
        if ((left == null) != (right == null)) {
            throw new IllegalArgumentException("A low-rank term has only its " + (left == null ? "right" : "left") + " factor. Give both or none.");
        }
        int rank = left == null ? 0 : Math.toIntExact(left.size(1));
        if (left != null) {
            check(left, m, rank, "the low-rank term's left factor");
            check(right, turned ? rank : n, turned ? n : rank, "the low-rank term's right factor");
        }
        if (bias != null && (bias.rank() != 1 || bias.size(0) != n)) {
            throw new IllegalArgumentException("The bias is " + bias + " and there are " + n + " columns. Give one number for each.");
        }
        if (residual != null) {
            check(residual, m, n, "the residual");
        }
        boolean lowRank = rank > 0;
        Epilogue epilogue = new Epilogue(lowRank ? left.address() : 0, lowRank ? 4 * left.stride(0) : 0, lowRank ? right.address() : 0,
                lowRank ? 4 * right.stride(0) : 0, turned, rank, bias == null ? 0 : bias.address(),
                residual == null ? 0 : residual.address(), residual == null ? 0 : 4 * residual.stride(0), 1);
        if (m > 0) {
            PanelKernel kernel = choice.kernel(operands, m);
            new Product(pool.get(), copies, kernel, operands, m, n, k, rows, panels, y.address(), 4 * y.stride(0), epilogue).run();
        }
        w.keepReachable();
        Reference.reachabilityFence(new Object[] {x, y, left, right, bias, residual});
    }

    /** With its last dimension contiguous, as the kernels read it; null for nothing. */
    private static Tensor dense(Optional<Tensor> t) {
        return t.map(x -> x.size(-1) == 1 || x.stride(-1) == 1 ? x : x.contiguous()).orElse(null);
    }

    private static void check(Tensor t, long rows, long columns, String what) {
        if (t.dtype() != DType.F32 || t.rank() != 2 || t.size(0) != rows || t.size(1) != columns || columns > 1 && t.stride(1) != 1) {
            throw new IllegalArgumentException("As " + what + " of this product came " + t + ". Give F32 [" + rows + ", " + columns
                    + "] with contiguous rows.");
        }
    }
}
