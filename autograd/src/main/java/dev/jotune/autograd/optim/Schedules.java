package dev.jotune.autograd.optim;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Function;

/**
 * Schedules by name, with the settings and values of transformers' and torch's. Common settings: {@code base_lr},
 * {@code warmup} (steps of linear rise from 0) and {@code total} (steps of the run, warm-up included); those that a
 * schedule has no use for are ignored, unknown ones are errors.
 */
public final class Schedules {
    /** Time scale of inverse_sqrt without warm-up, as transformers has it. */
    private static final double DEFAULT_TIMESCALE = 10_000;

    private static final Map<String, Function<Settings, Schedule>> ALL = new TreeMap<>();
    private static final Map<String, String> OTHER_NAMES = new HashMap<>();

    static {
        ALL.put("constant", s -> Schedule.constant(base(s)));
        ALL.put("constant_with_warmup", s -> warm(s, step -> 1));
        ALL.put("linear", Schedules::linear);
        ALL.put("cosine", Schedules::cosine);
        ALL.put("cosine_restarts", Schedules::cosineRestarts);
        ALL.put("cosine_min_lr", Schedules::cosineMinLr);
        ALL.put("polynomial", Schedules::polynomial);
        ALL.put("inverse_sqrt", Schedules::inverseSqrt);
        ALL.put("warmup_stable_decay", Schedules::warmupStableDecay);
        ALL.put("step", Schedules::step);
        ALL.put("exponential", Schedules::exponential);
        ALL.put("one_cycle", Schedules::oneCycle);
        ALL.put("cosine_annealing", Schedules::cosineAnnealing);
        OTHER_NAMES.put("cosine_with_restarts", "cosine_restarts");
        OTHER_NAMES.put("cosine_with_min_lr", "cosine_min_lr");
        OTHER_NAMES.put("warmup_stable", "warmup_stable_decay");
    }

    private Schedules() {}

    /** The names there are. */
    public static Set<String> names() {
        Set<String> names = new TreeSet<>(ALL.keySet());
        names.addAll(OTHER_NAMES.keySet());
        return Collections.unmodifiableSet(names);
    }

    /**
     * A schedule by name.
     *
     * @throws IllegalArgumentException for names and settings that there are not
     */
    public static Schedule byName(String name, Map<String, ?> settings) {
        Function<Settings, Schedule> make = ALL.get(OTHER_NAMES.getOrDefault(name, name));
        if (make == null) {
            throw new IllegalArgumentException("there is no schedule '" + name + "'. Choose one of " + names() + ".");
        }
        Settings s = new Settings("the schedule '" + name + "'", settings).allow("base_lr", "warmup", "total");
        return s.done(make.apply(s));
    }

    private static double base(Settings s) {
        return s.number("base_lr", 1e-3);
    }

    /** A linear rise over the warm-up, then {@code after}, which takes steps since the start of the run. */
    private static Schedule warm(Settings s, Schedule after) {
        double base = base(s);
        double warmup = s.number("warmup", 0);
        return step -> base * (step < warmup ? step / Math.max(1, warmup) : Math.max(0, after.rate(step)));
    }

    /** The part of the run behind the warm-up that is over, from 0; beyond 1 after the end. */
    private static Schedule progress(Settings s) {
        double warmup = s.number("warmup", 0);
        double rest = Math.max(1, total(s) - warmup);
        return step -> (step - warmup) / rest;
    }

    private static double total(Settings s) {
        return s.optional("total").orElseThrow(() -> new IllegalArgumentException(
                "the schedule needs 'total', the number of steps of the run. Give it, or choose 'constant'."));
    }

    private static Schedule linear(Settings s) {
        Schedule progress = progress(s);
        return warm(s, step -> 1 - progress.rate(step));
    }

    private static Schedule cosine(Settings s) {
        Schedule progress = progress(s);
        double cycles = s.number("num_cycles", 0.5);
        return warm(s, step -> wave(2 * cycles * progress.rate(step)));
    }

    /** From 1 at 0 to 0 at 1 and back, as a cosine. */
    private static double wave(double x) {
        return 0.5 * (1 + Math.cos(Math.PI * x));
    }

    /** Warm restarts (Loshchilov and Hutter, arXiv 1608.03983), all cycles of one length. */
    private static Schedule cosineRestarts(Settings s) {
        Schedule progress = progress(s);
        double cycles = s.number("num_cycles", 1);
        return warm(s, step -> progress.rate(step) >= 1 ? 0 : wave(cycles * progress.rate(step) % 1));
    }

    private static Schedule cosineMinLr(Settings s) {
        Schedule progress = progress(s);
        double cycles = s.number("num_cycles", 0.5);
        double ratio = s.optional("min_lr_rate").orElse(s.number("min_lr", 0) / base(s));
        return warm(s, step -> wave(2 * cycles * progress.rate(step)) * (1 - ratio) + ratio);
    }

    private static Schedule polynomial(Settings s) {
        Schedule progress = progress(s);
        double ratio = s.number("lr_end", 1e-7) / base(s);
        double power = s.number("power", 1);
        return warm(s, step -> Math.pow(Math.max(0, 1 - progress.rate(step)), power) * (1 - ratio) + ratio);
    }

    /** Vaswani et al., arXiv 1706.03762, equation 3, for any time scale. */
    private static Schedule inverseSqrt(Settings s) {
        double warmup = s.number("warmup", 0);
        double scale = s.number("timescale", warmup == 0 ? DEFAULT_TIMESCALE : warmup);
        return warm(s, step -> 1 / Math.sqrt((step + scale - warmup) / scale));
    }

    /** Hu et al., arXiv 2404.06395, section 4. The smallest ratio lifts the warm-up too. */
    private static Schedule warmupStableDecay(Settings s) {
        double base = base(s);
        double warmup = s.number("warmup", 0);
        double decay = s.optional("decay_steps").orElseThrow(() -> new IllegalArgumentException(
                "the schedule needs 'decay_steps', the length of its last part. Give it."));
        double stable = s.optional("stable_steps").orElseGet(() -> total(s) - warmup - decay);
        double ratio = s.number("min_lr_ratio", 0);
        double cycles = s.number("num_cycles", 0.5);
        DoubleUnaryOperator rise = ramp(s.text("warmup_type", "linear"), 0.5);
        DoubleUnaryOperator fall = ramp(s.text("decay_type", "cosine"), cycles);
        return step -> {
            double shape;
            if (step < warmup) {
                // A rise is the mirror image of a fall.
                shape = rise.applyAsDouble(1 - step / Math.max(1, warmup));
            } else if (step < warmup + stable) {
                return base;
            } else if (step < warmup + stable + decay) {
                shape = fall.applyAsDouble((step - warmup - stable) / Math.max(1, decay));
            } else {
                shape = 0;
            }
            return base * Math.max(0, shape * (1 - ratio) + ratio);
        };
    }

    /** A fall from 1 at 0 to 0 at 1. */
    private static DoubleUnaryOperator ramp(String type, double cycles) {
        return switch (type) {
            case "linear" -> x -> 1 - x;
            case "cosine" -> x -> wave(2 * cycles * x);
            case "1-sqrt" -> x -> 1 - Math.sqrt(x);
            default -> throw new IllegalArgumentException("there is no ramp '" + type
                    + "'. Choose linear, cosine or 1-sqrt.");
        };
    }

    private static Schedule step(Settings s) {
        double base = base(s);
        double size = s.number("step_size", 1);
        double gamma = s.number("gamma", 0.1);
        return step -> base * Math.pow(gamma, Math.floor(step / size));
    }

    private static Schedule exponential(Settings s) {
        double base = base(s);
        double gamma = s.number("gamma", 0.1);
        return step -> base * Math.pow(gamma, step);
    }

    /** Smith and Topin, arXiv 1708.07120, in two phases as torch has it; the last rate stays. */
    private static Schedule oneCycle(Settings s) {
        double top = s.number("max_lr", base(s));
        double start = top / s.number("div_factor", 25);
        double end = start / s.number("final_div_factor", 1e4);
        double last = total(s) - 1;
        double peak = s.number("pct_start", 0.3) * total(s) - 1;
        DoubleUnaryOperator fall = ramp(s.text("anneal_strategy", "cos").replaceFirst("^cos$", "cosine"), 0.5);
        return step -> {
            if (step <= peak && peak > 0) {
                return top + (start - top) * fall.applyAsDouble(step / peak);
            }
            return end + (top - end) * fall.applyAsDouble(Math.min(1, (step - peak) / (last - peak)));
        };
    }

    /** One half wave of arXiv 1608.03983, going on periodically. */
    private static Schedule cosineAnnealing(Settings s) {
        double base = base(s);
        double low = s.number("eta_min", 0);
        double half = s.optional("T_max").orElseGet(() -> total(s));
        return step -> low + (base - low) * wave(step / half);
    }
}
