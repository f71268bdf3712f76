package dev.jotune.cli;

import dev.jotune.autograd.Var;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Stepwise;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.tensor.HostMemory;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * What a step of a method costs. Its time is compared with steps of another method that are taken in turn on the same texts, so that
 * what else the machine does falls on both; its memory is counted, not sampled.
 *
 * @param options those of the run, whatever number of steps they say
 * @param head modules that every method trains
 */
record StepCost(ComparisonResults.Setting setting, String task, TrainOptions options, Dataset data, List<String> head) {
    /** Steps after which optimisers have all their state and the code is compiled; the memory is that of the last. */
    private static final int FIRST = 3;
    private static final int TRIES = 50;
    private static final int PAUSE_MILLIS = 20;

    /** Attaches a row's adapter under a name, for a run of so many steps. */
    interface Attach {
        Adapter attach(ComparedMethod method, String name, long steps);
    }

    /** Nothing else may be attached to the model. */
    ComparisonResults.Cost of(ComparedMethod method, Attach attach, ComparedMethod reference, ComparedMethod.Places places) {
        int steps = FIRST + setting.timedSteps();
        long before = settled();
        Adapter one = attach.attach(method, "compared", steps);
        long trained = one.trainableCount();
        long own = trained - one.trainables().entrySet().stream().filter(this::isHead).mapToLong(e -> e.getValue().tensor().numel()).sum();
        try (Stepwise first = run(one, method, steps, places)) {
            long memory = 0;
            for (int i = 0; i < FIRST; i++) {
                HostMemory.resetPeak();
                first.step();
                memory = HostMemory.peakBytes() - before;
            }
            one.model().seams().activate();
            Adapter other = attach.attach(reference, "reference", steps);
            one.model().seams().activate(other.name());
            double[] ratios = new double[setting.timedSteps()];
            double[] seconds = new double[setting.timedSteps()];
            try (Stepwise second = run(other, reference, steps, places)) {
                for (int i = 0; i < FIRST; i++) {
                    second.step();
                }
                for (int i = 0; i < ratios.length; i++) {
                    one.model().seams().activate(one.name());
                    seconds[i] = timed(first);
                    one.model().seams().activate(other.name());
                    ratios[i] = seconds[i] / timed(second);
                }
            }
            Arrays.sort(ratios);
            Arrays.sort(seconds);
            return new ComparisonResults.Cost(task, method.name(), own, trained, memory, quantile(ratios, 0.5), quantile(ratios, 0.25),
                    quantile(ratios, 0.75), quantile(seconds, 0.5));
        }
    }

    private Stepwise run(Adapter adapter, ComparedMethod method, int steps, ComparedMethod.Places places) {
        return new Stepwise(adapter, data, options.withMaxSteps(steps), method.choose(steps, places).step(options.seed()));
    }

    private static double timed(Stepwise run) {
        long start = System.nanoTime();
        run.step();
        return (System.nanoTime() - start) / 1e9;
    }

    /** Linear between the two values around it. */
    static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int below = (int) at;
        int above = Math.min(sorted.length - 1, below + 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }

    private boolean isHead(Map.Entry<String, Var> e) {
        return head.stream().anyMatch(h -> e.getKey().contains("." + h + "."));
    }

    /** Bytes in use once what nobody holds any more is gone. */
    private static long settled() {
        long last = -1;
        for (int i = 0; i < TRIES && last != HostMemory.bytesInUse(); i++) {
            last = HostMemory.bytesInUse();
            System.gc();
            try {
                Thread.sleep(PAUSE_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return HostMemory.bytesInUse();
            }
        }
        return last;
    }
}
