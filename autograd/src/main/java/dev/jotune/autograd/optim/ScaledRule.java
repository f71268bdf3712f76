package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;

/** A rule at a multiple of the rate. */
record ScaledRule(UpdateRule rule, double factor) implements UpdateRule {

    @Override
    public String name() {
        return rule.name();
    }

    @Override
    public void update(Slots slots, Tensor parameter, Tensor gradient, double rate) {
        rule.update(slots, parameter, gradient, factor * rate);
    }

    @Override
    public UpdateRule ruleFor(String parameter) {
        return new ScaledRule(rule.ruleFor(parameter), factor);
    }
}
