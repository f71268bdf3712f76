package dev.jotune.autograd.optim;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Applies an update rule to every parameter and keeps what it remembers. */
final class RuleOptimizer implements Optimizer {
    private final UpdateRule rule;
    private final Schedule schedule;
    private final Map<String, Slots> slots = new LinkedHashMap<>();
    private long steps;

    RuleOptimizer(UpdateRule rule, Schedule schedule) {
        this.rule = rule;
        this.schedule = schedule;
    }

    @Override
    public void step(List<Trainable> trainables) {
        if (trainables.isEmpty()) {
            return;
        }
        Set<String> present = new HashSet<>();
        for (Trainable t : trainables) {
            if (!present.add(t.name())) {
                throw new IllegalArgumentException("two parameters are named '" + t.name() + "' in one step. "
                        + "Name each once: a shared parameter trains under one name.");
            }
        }
        double rate = rate();
        slots.values().removeIf(own -> {
            boolean vanished = !present.contains(own.parameter());
            if (vanished) {
                own.free();
            }
            return vanished;
        });
        for (Trainable t : trainables) {
            Slots own = slots.computeIfAbsent(t.name(), Slots::new);
            if (!own.fits(t.parameter())) {
                // A parameter of another shape or type is another parameter.
                own.free();
                own = new Slots(t.name());
                slots.put(t.name(), own);
            }
            try (Scope _ = Scope.open()) {
                own.begin(t.parameter());
                rule.ruleFor(t.name()).update(own, t.parameter(), t.gradient(), rate);
            }
        }
        steps++;
    }

    @Override
    public long steps() {
        return steps;
    }

    @Override
    public double rate() {
        return schedule.rate(steps);
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        slots.forEach((parameter, own) -> {
            String name = rule.ruleFor(parameter).name();
            own.forEach((slot, t) -> all.put(name + "." + slot + "." + parameter, t));
        });
        return all;
    }

    @Override
    public void restore(Map<String, Tensor> state, long count) {
        Map<String, Slots> restored = new LinkedHashMap<>();
        state.forEach((key, t) -> {
            String[] parts = key.split("\\.", 3);
            if (parts.length != 3 || !rule.ruleFor(parts[2]).name().equals(parts[0])) {
                throw new IllegalArgumentException("the saved state '" + key + "' is not of the optimiser '"
                        + (parts.length == 3 ? rule.ruleFor(parts[2]) : rule).name()
                        + "'. Restore with the optimiser that the run was saved with.");
            }
            restored.computeIfAbsent(parts[2], Slots::new).restore(parts[1], t);
        });
        slots.values().forEach(Slots::free);
        slots.clear();
        slots.putAll(restored);
        steps = count;
    }
}
