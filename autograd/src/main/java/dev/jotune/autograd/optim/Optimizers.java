package dev.jotune.autograd.optim;

import java.util.Collections;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;

/** Update rules by name, with settings named as torch and transformers name them. */
public final class Optimizers {
    private static final Map<String, Function<Settings, UpdateRule>> RULES = new TreeMap<>();

    static {
        RULES.put("sgd", s -> new Sgd(s.number("momentum", 0), s.number("dampening", 0), s.flag("nesterov", false),
                s.number("weight_decay", 0)));
        RULES.put("adam", s -> new Adam(s.element("betas", 0, 0.9), s.element("betas", 1, 0.999), s.number("eps", 1e-8),
                s.number("weight_decay", 0), s.flag("amsgrad", false)));
        RULES.put("adamw", s -> new AdamW(s.element("betas", 0, 0.9), s.element("betas", 1, 0.999),
                s.number("eps", 1e-8), s.number("weight_decay", 0.01), s.flag("amsgrad", false)));
        RULES.put("lion", s -> new Lion(s.element("betas", 0, 0.9), s.element("betas", 1, 0.99),
                s.number("weight_decay", 0)));
        RULES.put("adagrad", s -> new Adagrad(s.number("lr_decay", 0), s.number("weight_decay", 0),
                s.number("initial_accumulator_value", 0), s.number("eps", 1e-10)));
        RULES.put("rmsprop", s -> new RmsProp(s.number("alpha", 0.99), s.number("eps", 1e-8),
                s.number("weight_decay", 0), s.number("momentum", 0), s.flag("centered", false)));
        RULES.put("adadelta", s -> new Adadelta(s.number("rho", 0.9), s.number("eps", 1e-6),
                s.number("weight_decay", 0)));
        RULES.put("adamax", s -> new Adamax(s.element("betas", 0, 0.9), s.element("betas", 1, 0.999),
                s.number("eps", 1e-8), s.number("weight_decay", 0)));
        RULES.put("nadam", s -> new NAdam(s.element("betas", 0, 0.9), s.element("betas", 1, 0.999),
                s.number("eps", 1e-8), s.number("weight_decay", 0), s.number("momentum_decay", 0.004),
                s.flag("decoupled_weight_decay", false)));
        RULES.put("radam", s -> new RAdam(s.element("betas", 0, 0.9), s.element("betas", 1, 0.999),
                s.number("eps", 1e-8), s.number("weight_decay", 0), s.flag("decoupled_weight_decay", false)));
        RULES.put("adafactor", Optimizers::adafactor);
        RULES.put("adafactor_torch", s -> new AdafactorTorch(s.number("beta2_decay", -0.8), s.optionalElement("eps", 0),
                s.element("eps", 1, 1e-3), s.number("d", 1), s.number("weight_decay", 0)));
        RULES.put("muon", s -> new Muon(s.number("momentum", 0.95), s.flag("nesterov", true),
                s.number("weight_decay", 0.1), (int) s.number("steps", 5)));
    }

    private Optimizers() {}

    /** A rate that is given stands for itself unless relative steps are asked for, as in transformers' trainer. */
    private static UpdateRule adafactor(Settings s) {
        boolean hasRate = s.optional("lr").isPresent();
        OptionalDouble beta1 = s.optional("beta1");
        return new Adafactor(s.element("eps", 0, 1e-30), s.element("eps", 1, 1e-3), s.number("clip_threshold", 1),
                s.number("decay_rate", -0.8), beta1, s.number("weight_decay", 0), s.flag("scale_parameter", true),
                s.flag("relative_step", !hasRate), s.flag("warmup_init", false));
    }

    /** The names there are. */
    public static Set<String> names() {
        return Collections.unmodifiableSet(RULES.keySet());
    }

    /**
     * A rule by name.
     *
     * @param settings numbers, booleans and lists of numbers; {@code lr} belongs to the schedule and is not used here
     * @throws IllegalArgumentException for names and settings that there are not
     */
    public static UpdateRule byName(String name, Map<String, ?> settings) {
        Function<Settings, UpdateRule> rule = RULES.get(name);
        if (rule == null) {
            throw new IllegalArgumentException("there is no optimiser '" + name + "'. Choose one of " + RULES.keySet()
                    + ".");
        }
        Settings s = new Settings("the optimiser '" + name + "'", settings).allow("lr");
        return s.done(rule.apply(s));
    }
}
