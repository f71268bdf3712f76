package dev.jotune.autograd.optim;

import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.regex.Pattern;

/** Which parameters train at a step. The answer may differ from step to step, but not for the same step and names. */
@FunctionalInterface
public interface TrainableSelector {

    /** The names that train, in the order given. */
    Set<String> select(long step, Collection<String> names);

    /** Every parameter. */
    static TrainableSelector all() {
        return (step, names) -> new LinkedHashSet<>(names);
    }

    /** Parameters in whose name the expression is found; anchor it with ^ and $ to match whole names. */
    static TrainableSelector matching(String regex) {
        Pattern pattern = Pattern.compile(regex);
        return (step, names) -> {
            Set<String> found = new LinkedHashSet<>(names);
            found.removeIf(n -> !pattern.matcher(n).find());
            return found;
        };
    }

    /** What both select. */
    default TrainableSelector and(TrainableSelector other) {
        return (step, names) -> other.select(step, select(step, names));
    }

    /** What at least one selects. */
    default TrainableSelector or(TrainableSelector other) {
        return (step, names) -> {
            Set<String> found = new LinkedHashSet<>(names);
            Set<String> here = select(step, names);
            Set<String> there = other.select(step, names);
            found.removeIf(n -> !here.contains(n) && !there.contains(n));
            return found;
        };
    }

    /** What this does not select. */
    default TrainableSelector not() {
        return (step, names) -> {
            Set<String> rest = new LinkedHashSet<>(names);
            rest.removeAll(select(step, names));
            return rest;
        };
    }

    /** This before step {@code from}, {@code later} from there on. */
    default TrainableSelector until(long from, TrainableSelector later) {
        return (step, names) -> (step < from ? this : later).select(step, names);
    }
}
