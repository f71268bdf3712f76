package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * The update that Adam and AdamW share. Inputs: parameter, gradient, m, v (and the largest v); then the numbers
 * l2, 1 - lr wd, beta1, 1 - beta1, beta2, 1 - beta2, lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t), eps.
 */
final class AdamPrograms {
    private static final Program PLAIN = program(false);
    private static final Program AMSGRAD = program(true);

    private AdamPrograms() {}

    private static Program program(boolean amsgrad) {
        int n = amsgrad ? 5 : 4;
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(n)));
        Expr m = Expr.input(2).times(Expr.rowInput(n + 2)).plus(g.times(Expr.rowInput(n + 3)));
        Expr v = Expr.input(3).times(Expr.rowInput(n + 4)).plus(g.times(g).times(Expr.rowInput(n + 5)));
        Expr top = amsgrad ? Expr.input(4).max(v) : v;
        Expr divisor = top.sqrt().times(Expr.rowInput(n + 7)).plus(Expr.rowInput(n + 8));
        Expr next = p.times(Expr.rowInput(n + 1)).minus(m.times(Expr.rowInput(n + 6)).over(divisor));
        return amsgrad ? Program.of(next, m, v, top) : Program.of(next, m, v);
    }

    /** @param shrink factor of the parameter before its update, 1 for none */
    static void update(Slots slots, Tensor p, Tensor g, double rate, double beta1, double beta2, double eps, double l2,
            double shrink, boolean amsgrad) {
        long t = slots.step();
        Tensor m = slots.tensor("m");
        Tensor v = slots.tensor("v");
        double[] numbers = {l2, shrink, beta1, 1 - beta1, beta2, 1 - beta2, rate / (1 - Math.pow(beta1, t)),
            1 / Math.sqrt(1 - Math.pow(beta2, t)), eps};
        if (amsgrad) {
            Tensor largest = slots.tensor("vmax");
            Compute.run(AMSGRAD, numbers, new Tensor[] {p, g, m, v, largest}, p, m, v, largest);
        } else {
            Compute.run(PLAIN, numbers, new Tensor[] {p, g, m, v}, p, m, v);
        }
    }
}
