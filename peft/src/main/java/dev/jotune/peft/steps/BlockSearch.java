package dev.jotune.peft.steps;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;

/** One block of {@link BlackBox}, {@code p = start + A z}, and the search for its z. */
final class BlockSearch implements AutoCloseable {
    private final BlackBox of;
    private final String name;
    private final Tensor target;
    private final double[] start;
    private final double deviation;
    private final long key;
    private final AskTell search;
    private double[] log = new double[0];
    private double[] best;

    /** @param number of the block, which draws A and the candidates by it */
    BlockSearch(BlackBox of, String name, Tensor target, double[] start, long seed, int number) {
        this.of = of;
        this.name = name;
        this.target = target;
        this.start = start;
        this.deviation = of.alpha() * BlackBox.clippedDeviation(start) / Math.sqrt(of.dimensions());
        this.key = Philox.bits(seed, 2L * number, 0);
        this.search = new AskTell(of.dimensions(), of.population(), 1, Philox.bits(seed, 2L * number + 1, 0));
        this.best = new double[of.dimensions()];
    }

    String name() {
        return name;
    }

    double[] start() {
        return start;
    }

    /** All losses so far, which are the search. */
    double[] log() {
        return log;
    }

    /** The best z of the last step. */
    double[] best() {
        return best;
    }

    /**
     * One generation.
     *
     * @param loss of a point, on the texts of this step
     * @return the least of them
     */
    double step(ToDoubleFunction<double[]> loss) {
        // The search itself begins with where it starts, which is the best before the first step.
        boolean first = log.length == 0;
        double[] losses = new double[of.population() + 1];
        double least = losses[0] = loss.applyAsDouble(first ? search.ask().orElseThrow() : best);
        if (first) {
            search.tell(least);
        }
        for (int i = 1; i <= of.population(); i++) {
            double[] z = search.ask().orElse(null);
            if (z == null) {
                // It has converged; it does so between two generations.
                return least;
            }
            losses[i] = loss.applyAsDouble(z);
            search.tell(losses[i]);
            // What is not a number is the worst.
            if (Double.compare(losses[i], least) < 0) {
                least = losses[i];
                best = z;
            }
        }
        log = DoubleStream.concat(Arrays.stream(log), Arrays.stream(losses)).toArray();
        return least;
    }

    /** Makes the steps again whose losses were {@code all}. */
    void repeat(double[] all) {
        int[] at = {0};
        while (at[0] < all.length) {
            step(z -> all[at[0]++]);
        }
    }

    /** Puts {@code start + A z} where the model reads it; row i of A is the noise of stream i. */
    void place(double[] z) {
        double[] row = new double[z.length];
        double[] p = new double[start.length];
        for (int i = 0; i < p.length; i++) {
            Philox.fillNormal(key, i, 0, row);
            double sum = 0;
            for (int k = 0; k < row.length; k++) {
                sum += row[k] * z[k];
            }
            p[i] = start[i] + deviation * sum;
        }
        target.copyFrom(Tensor.of(target.backend(), target.dtype(), p, target.shape()));
    }

    @Override
    public void close() {
        search.close();
    }
}
