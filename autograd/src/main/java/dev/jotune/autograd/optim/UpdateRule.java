package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import java.util.function.Function;

/**
 * How one parameter changes by its gradient: an optimiser's settings and its formula. Rules are immutable; what they
 * remember of a parameter lies in its {@link Slots}.
 */
public interface UpdateRule {

    /** Short name without dots, the first part of the names of saved state. */
    String name();

    /**
     * Overwrites {@code parameter}.
     *
     * @param rate the schedule's learning rate of this update
     */
    void update(Slots slots, Tensor parameter, Tensor gradient, double rate);

    /** The rule that applies to a parameter, for rules that choose. */
    default UpdateRule ruleFor(String parameter) {
        return this;
    }

    /** The optimiser that follows this rule at a schedule's rates. */
    default Optimizer with(Schedule schedule) {
        return new RuleOptimizer(this, schedule);
    }

    /** This rule at {@code factor} times the rate, as for the second factor in LoRA+ (arXiv 2402.12354). */
    default UpdateRule scaled(double factor) {
        return new ScaledRule(this, factor);
    }

    /**
     * This rule on F32 copies of F16 and BF16 parameters, which are rounded after each update: without them a step
     * smaller than half a unit in the last place is lost (Micikevicius et al., arXiv 1710.03740, section 3.1). The
     * copy is made at the first update; later changes of the parameter from outside are overwritten.
     */
    default UpdateRule inFullPrecision() {
        return new FullPrecisionRule(this);
    }

    /**
     * Another rule for each parameter, such as no weight decay for biases, or {@link Muon} for matrices and
     * {@link AdamW} for the rest. The choice must not change while a parameter trains.
     */
    static UpdateRule choose(Function<String, UpdateRule> byParameter) {
        return new ChosenRule(byParameter);
    }
}
