package dev.jotune.autograd.optim;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Gradient transforms before an optimiser. Transforms count calls, the optimiser counts the updates that result. */
final class TransformedOptimizer implements Optimizer {
    private static final String CALLS = "transform.calls";
    private static final String TRANSFORM = "transform.state.";

    private final GradientTransform transform;
    private final Optimizer optimizer;
    private long calls;

    TransformedOptimizer(GradientTransform transform, Optimizer optimizer) {
        this.transform = transform;
        this.optimizer = optimizer;
    }

    @Override
    public void step(List<Trainable> trainables) {
        if (trainables.isEmpty()) {
            return;
        }
        try (Scope _ = Scope.open()) {
            List<Trainable> changed = transform.apply(calls, trainables);
            calls++;
            optimizer.step(changed);
        }
    }

    @Override
    public long steps() {
        return optimizer.steps();
    }

    @Override
    public double rate() {
        return optimizer.rate();
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> all = new LinkedHashMap<>(optimizer.state());
        all.put(CALLS, Tensor.of(Backends.reference(), new long[] {calls}, 1));
        transform.state().forEach((name, t) -> all.put(TRANSFORM + name, t));
        return all;
    }

    @Override
    public void restore(Map<String, Tensor> state, long steps) {
        Tensor saved = state.get(CALLS);
        if (saved == null) {
            throw new IllegalArgumentException("the saved state has no '" + CALLS + "': the run had no gradient "
                    + "transforms. Restore with the chain that the run was saved with.");
        }
        Map<String, Tensor> rest = new LinkedHashMap<>(state);
        rest.keySet().removeIf(name -> name.equals(CALLS) || name.startsWith(TRANSFORM));
        optimizer.restore(rest, steps);
        transform.restore(StateNames.below(state, TRANSFORM));
        calls = saved.toLongArray()[0];
    }
}
