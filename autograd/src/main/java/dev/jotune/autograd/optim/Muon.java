package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;

/**
 * Muon (Jordan et al., 2024; scaled up in Liu et al., arXiv 2502.16982): momentum, then the nearest
 * semi-orthogonal matrix by a quintic Newton-Schulz iteration, in F32 where the original rounds to bfloat16.
 * {@code b = mu b + (1 - mu) g; u = mu b + (1 - mu) g} with Nesterov, else {@code b};
 * {@code p = (1 - lr wd) p - lr sqrt(max(1, rows / columns)) orthogonal(u)}. Matrices only: combine it with
 * {@link UpdateRule#choose}.
 *
 * @param steps of the iteration {@code X = a X + (b A + c A^2) X, A = X X^T}
 */
public record Muon(double momentum, boolean nesterov, double weightDecay, int steps, double a, double b, double c,
        double eps) implements UpdateRule {
    private static final Program MOMENTUM;
    private static final Program POLYNOMIAL;
    private static final Program ADD_SCALED = Program.of(Expr.input(0).times(Expr.rowInput(2)).plus(Expr.input(1)));
    private static final Program APPLY =
            Program.of(Expr.input(0).times(Expr.rowInput(2)).minus(Expr.input(1).times(Expr.rowInput(3))));

    static {
        Expr g = Expr.input(0);
        Expr mu = Expr.rowInput(2);
        Expr fresh = Expr.rowInput(3);
        Expr buffer = Expr.input(1).times(mu).plus(g.times(fresh));
        MOMENTUM = Program.of(buffer, buffer.times(mu).plus(g.times(fresh)));
        POLYNOMIAL = Program.of(Expr.input(0).times(Expr.rowInput(2)).plus(Expr.input(1).times(Expr.rowInput(3))));
    }

    /** The settings of the original: momentum 0.95 with Nesterov, five steps. */
    public Muon() {
        this(0.95, true, 0.1, 5);
    }

    /** The original's polynomial. */
    public Muon(double momentum, boolean nesterov, double weightDecay, int steps) {
        this(momentum, nesterov, weightDecay, steps, 3.4445, -4.7750, 2.0315, 1e-7);
    }

    @Override
    public String name() {
        return "muon";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        if (p.rank() != 2) {
            throw new IllegalArgumentException("muon takes matrices, '" + slots.parameter() + "' has shape "
                    + Arrays.toString(p.shape()) + ". Choose another rule for it with UpdateRule.choose.");
        }
        Tensor buffer = slots.tensor("momentum");
        Tensor ahead = Tensor.empty(p.backend(), Compute.type(p), p.shape());
        Compute.run(MOMENTUM, new double[] {momentum, 1 - momentum}, new Tensor[] {g, buffer}, buffer, ahead);
        Tensor direction = orthogonal(nesterov ? ahead : buffer);
        double scale = Math.sqrt(Math.max(1, (double) p.size(0) / p.size(1)));
        Compute.run(APPLY, new double[] {1 - rate * weightDecay, rate * scale}, new Tensor[] {p, direction}, p);
    }

    /** The iteration on the orientation with no more rows than columns, whose A is the smaller. */
    private Tensor orthogonal(Tensor u) {
        boolean tall = u.size(0) > u.size(1);
        double norm = Math.max(Math.sqrt(Compute.squares(u)), eps);
        Tensor x = Compute.scale(tall ? u.transpose(0, 1) : u, 1 / norm);
        for (int i = 0; i < steps; i++) {
            Tensor gram = product(x, x.transpose(0, 1));
            Tensor polynomial = Compute.map(POLYNOMIAL, new double[] {b, c}, gram, product(gram, gram));
            x = Compute.map(ADD_SCALED, new double[] {a}, x, product(polynomial, x));
        }
        return tall ? x.transpose(0, 1) : x;
    }

    private static Tensor product(Tensor x, Tensor y) {
        Tensor out = Tensor.empty(x.backend(), Compute.type(x), x.size(0), y.size(1));
        x.backend().matmul(x, y, out, false);
        return out;
    }
}
