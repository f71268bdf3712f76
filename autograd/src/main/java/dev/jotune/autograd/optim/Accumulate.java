package dev.jotune.autograd.optim;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Holds gradients back and passes on the mean of every n: a large batch in small pieces. */
final class Accumulate implements GradientTransform {
    private static final Program ADD = Program.of(Expr.input(0).plus(Expr.input(1).times(Expr.rowInput(2))));
    private static final String COUNT = "count";
    private static final String SUM = "sum.";

    private final int n;
    private final Map<String, Tensor> sums = new LinkedHashMap<>();
    /** Those whose sum belongs to this round. */
    private final Set<String> started = new LinkedHashSet<>();
    private long count;

    Accumulate(int n) {
        if (n < 1) {
            throw new IllegalArgumentException("cannot accumulate over " + n + " steps. Give 1 or more.");
        }
        this.n = n;
    }

    @Override
    public List<Trainable> apply(long step, List<Trainable> trainables) {
        if (n == 1) {
            return trainables;
        }
        for (Trainable t : trainables) {
            add(t);
        }
        count++;
        if (count < n) {
            return List.of();
        }
        // What was given earlier but not now has no parameter to change any more.
        List<Trainable> means = new ArrayList<>();
        Map<String, Tensor> kept = new LinkedHashMap<>();
        for (Trainable t : trainables) {
            Tensor mean = sums.remove(t.name());
            means.add(t.withGradient(mean));
            kept.put(t.name(), mean);
        }
        sums.values().forEach(t -> t.storage().free());
        sums.clear();
        sums.putAll(kept);
        started.clear();
        count = 0;
        return means;
    }

    private void add(Trainable t) {
        Tensor gradient = t.gradient();
        Tensor sum = sums.get(t.name());
        if (sum == null || !Arrays.equals(sum.shape(), gradient.shape())) {
            sum = Scope.detach(Tensor.zeros(gradient.backend(), Compute.type(gradient), gradient.shape()));
            started.add(t.name());
        } else if (sum.backend() != gradient.backend()) {
            sum = Scope.detach(sum.to(gradient.backend()));
        }
        if (started.add(t.name())) {
            // The buffer of the round before is used again.
            sum.backend().fill(sum, 0);
        }
        sums.put(t.name(), sum);
        Compute.run(ADD, new double[] {1.0 / n}, new Tensor[] {sum, gradient}, sum);
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        all.put(COUNT, Tensor.of(Backends.reference(), new long[] {count}, 1));
        started.forEach(name -> all.put(SUM + name, sums.get(name)));
        return all;
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        Tensor saved = state.get(COUNT);
        if (saved == null) {
            throw new IllegalArgumentException("the saved state " + state.keySet() + " is not of gradient "
                    + "accumulation. Restore with the chain that the run was saved with.");
        }
        count = saved.toLongArray()[0];
        Map<String, Tensor> restored = new LinkedHashMap<>();
        StateNames.below(state, SUM).forEach((name, t) -> restored.put(name, Scope.detach(t.copy())));
        sums.values().forEach(t -> t.storage().free());
        sums.clear();
        sums.putAll(restored);
        started.clear();
        started.addAll(restored.keySet());
    }
}
