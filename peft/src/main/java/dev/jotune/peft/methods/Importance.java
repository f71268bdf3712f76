package dev.jotune.peft.methods;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How important trained numbers are (AdaLoRA, arXiv 2303.10512, section 3.2): an entry w with the gradient g counts
 * {@code I U} with {@code I <- beta1 I + (1 - beta1) |w g|} (equation 9) and {@code U <- beta2 U + (1 - beta2) | |w g| - I |} (equation 10).
 */
final class Importance {
    private static final Expr SENSITIVITY = Expr.input(0).times(Expr.input(1)).abs();
    private static final String MEAN = "importance.";
    private static final String SPREAD = "uncertainty.";

    private final Program mean;
    private final Program spread;
    private final Map<String, Tensor> averages = new LinkedHashMap<>();

    Importance(double beta1, double beta2) {
        mean = Program.of(Expr.input(2).times(beta1).plus(SENSITIVITY.times(1 - beta1)));
        spread = Program.of(Expr.input(2).times(beta2).plus(SENSITIVITY.minus(Expr.input(3)).abs().times(1 - beta2)));
    }

    /** Takes a step's gradient in. */
    void measure(Trainable t) {
        Tensor i = averages.computeIfAbsent(MEAN + t.name(), n -> zeros(t.parameter()));
        Tensor u = averages.computeIfAbsent(SPREAD + t.name(), n -> zeros(t.parameter()));
        t.parameter().backend().map(mean, new Tensor[] {t.parameter(), t.gradient(), i}, new Tensor[] {i});
        t.parameter().backend().map(spread, new Tensor[] {t.parameter(), t.gradient(), u, i}, new Tensor[] {u});
    }

    private static Tensor zeros(Tensor t) {
        return Scope.detach(Tensor.zeros(t.backend(), t.dtype(), t.shape()));
    }

    /** The mean over {@code axis} of what the entries of {@code parameter} count; nothing before it was measured. */
    double[] mean(String name, Var parameter, int axis) {
        Tensor i = averages.get(MEAN + name);
        return i == null ? new double[Math.toIntExact(parameter.size(1 - axis))] : Recording.off(() -> Var.constant(i)
                .mul(Var.constant(averages.get(SPREAD + name))).sum(axis).mul(1.0 / parameter.size(axis)).tensor().toDoubleArray());
    }

    void clear() {
        averages.clear();
    }

    /** Everything remembered, by name; live. */
    Map<String, Tensor> state() {
        return averages;
    }

    void restore(String name, Tensor saved) {
        averages.put(name, Scope.detach(saved.copy()));
    }
}
