package dev.jotune.autograd.optim;

/** The learning rate as a pure function of the number of updates made so far; 0 for the first update. */
@FunctionalInterface
public interface Schedule {

    double rate(long step);

    /** The same rate always. */
    static Schedule constant(double rate) {
        return step -> rate;
    }
}
