package dev.jotune.jmh.gpu;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.IntConsumer;

/** What one row measures, on one backend. */
interface Work {
    /** How its time is taken. */
    enum Mode {
        /** What its kernels took by the device's own events; where a device has none, calls in a row and one wait. */
        DEVICE,
        /** What the caller spends on asking for it, the device's work not counted. */
        ENQUEUE,
        /** From the call to the result, as a user waits for it. */
        WALL
    }

    /**
     * How far a result is from one computed on the CPU.
     *
     * @param error {@code ||out - reference|| / ||reference||}, the largest over the results
     * @param tolerance what rounding may do: the types that were stored and the length of sums decide
     */
    record Check(double error, double tolerance) {
        boolean passes() {
            return error <= tolerance;
        }
    }

    /** Asks for it once, on input set {@code set}. */
    void run(int set);

    /** Input sets, of which each run takes the next: together more than a device's cache holds. */
    default int sets() {
        return 1;
    }

    default Mode mode() {
        return Mode.DEVICE;
    }

    /** Runs it over poisoned outputs and compares. */
    Check check();

    /** What it is compared with in the row's own number, measured the same way. */
    default Optional<IntConsumer> baseline() {
        return Optional.empty();
    }

    /**
     * The row's number.
     *
     * @param micros of one run
     * @param baseline of one run of {@link #baseline}
     * @param vendorBaseline what the vendor's library takes for the same, if it was measured
     */
    double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline);

    /** What else should be known: the types, the shape, the bytes. */
    Map<String, Object> facts();
}
