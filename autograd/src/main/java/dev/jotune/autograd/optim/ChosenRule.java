package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import java.util.function.Function;

/** Another rule for each parameter. */
record ChosenRule(Function<String, UpdateRule> byParameter) implements UpdateRule {

    @Override
    public String name() {
        return "choose";
    }

    @Override
    public void update(Slots slots, Tensor parameter, Tensor gradient, double rate) {
        ruleFor(slots.parameter()).update(slots, parameter, gradient, rate);
    }

    @Override
    public UpdateRule ruleFor(String parameter) {
        return byParameter.apply(parameter).ruleFor(parameter);
    }
}
