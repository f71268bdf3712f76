package dev.jotune.autograd.optim;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/** A rule that updates an F32 copy of half-precision parameters and rounds it into them. */
record FullPrecisionRule(UpdateRule rule) implements UpdateRule {

    @Override
    public String name() {
        return rule.name();
    }

    @Override
    public void update(Slots slots, Tensor parameter, Tensor gradient, double rate) {
        if (parameter.dtype() == DType.F32 || parameter.dtype() == DType.F64) {
            rule.update(slots, parameter, gradient, rate);
            return;
        }
        Tensor master = slots.master();
        rule.update(slots, master, gradient, rate);
        parameter.copyFrom(master);
    }

    @Override
    public UpdateRule ruleFor(String parameter) {
        return new FullPrecisionRule(rule.ruleFor(parameter));
    }
}
