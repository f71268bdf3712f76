package dev.jotune.peft.steps;

import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.SynchronousQueue;
import org.hipparchus.optim.InitialGuess;
import org.hipparchus.optim.MaxEval;
import org.hipparchus.optim.MaxIter;
import org.hipparchus.optim.SimpleBounds;
import org.hipparchus.optim.nonlinear.scalar.GoalType;
import org.hipparchus.optim.nonlinear.scalar.ObjectiveFunction;
import org.hipparchus.optim.nonlinear.scalar.noderiv.CMAESOptimizer;
import org.hipparchus.random.MersenneTwister;

/**
 * CMA-ES (Hansen, arXiv 1604.00772), turned inside out: {@link #ask} gives a point, {@link #tell} takes its value. Hipparchus's
 * optimiser calls a function itself, so it runs on a thread of its own and waits there for whoever evaluates. Points follow from
 * seed and values: telling the values again, in their order, leads to the same point.
 */
final class AskTell implements AutoCloseable {
    private final SynchronousQueue<Optional<double[]>> points = new SynchronousQueue<>();
    private final SynchronousQueue<Double> values = new SynchronousQueue<>();
    private final Thread search;
    /** Why the search broke off, if it did. */
    private volatile Throwable failure;
    private boolean done;

    /** @param n dimensions; the search begins at 0 with deviation {@code sigma} */
    AskTell(int n, int population, double sigma, long seed) {
        search = Thread.ofVirtual().start(() -> run(n, population, sigma, seed));
    }

    private void run(int n, int population, double sigma, long seed) {
        double[] deviations = new double[n];
        Arrays.fill(deviations, sigma);
        try {
            CMAESOptimizer cma = new CMAESOptimizer(Integer.MAX_VALUE, Double.NEGATIVE_INFINITY, true, 0, 0, new MersenneTwister(seed), false, null);
            cma.optimize(new MaxEval(Integer.MAX_VALUE), new MaxIter(Integer.MAX_VALUE), new ObjectiveFunction(this::evaluated), GoalType.MINIMIZE,
                    new InitialGuess(new double[n]), new CMAESOptimizer.Sigma(deviations), new CMAESOptimizer.PopulationSize(population),
                    SimpleBounds.unbounded(n));
        } catch (Stopped e) {
            return;
        } catch (Throwable e) {
            // Whoever asks next must hear of it instead of waiting.
            failure = e;
        }
        try {
            points.put(Optional.empty());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static final class Stopped extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private double evaluated(double[] point) {
        try {
            points.put(Optional.of(point.clone()));
            return values.take();
        } catch (InterruptedException e) {
            throw new Stopped();
        }
    }

    /**
     * The next point to evaluate; empty once the search has converged.
     *
     * @throws IllegalStateException if the search broke off
     */
    Optional<double[]> ask() {
        try {
            Optional<double[]> point = done ? Optional.empty() : points.take();
            done = point.isEmpty();
            if (done && failure != null) {
                throw new IllegalStateException("the search broke off: " + failure + ". Search with other settings.", failure);
            }
            return point;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("training was interrupted while it searched. Resume it from its last checkpoint.", e);
        }
    }

    /** The value of the point that was asked last; one that is not a number counts as the worst. */
    void tell(double value) {
        try {
            values.put(Double.isNaN(value) ? Double.MAX_VALUE : value);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("training was interrupted while it searched. Resume it from its last checkpoint.", e);
        }
    }

    @Override
    public void close() {
        search.interrupt();
    }
}
