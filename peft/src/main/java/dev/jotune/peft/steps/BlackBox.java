package dev.jotune.peft.steps;

import dev.jotune.autograd.Var;
import dev.jotune.peft.train.Descent;
import dev.jotune.peft.train.StepInput;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * BBTv2: Towards a Gradient-Free Future with Large Language Models (Sun et al., arXiv 2205.11200, algorithm 1): prompts of every
 * layer, found by CMA-ES with forward passes alone. What trains is cut into blocks, one for each layer; block l is
 * {@code p_l = start_l + A_l z_l} with {@code z_l} of few dimensions, begun at 0, and {@code A_l} of normal numbers with deviation
 * {@code alpha std_l / sqrt(dimensions)}, made anew from the seed instead of stored. std_l is that of what the block starts with,
 * clipped five times at three deviations (equation 3). A step takes one block: it tries a population of {@code z_l} with all other
 * blocks at their best, and keeps the best of these and of the best before, which it tries once more: losses of one step's texts alone
 * are compared.
 *
 * <p>The blocks are those of any adapter; with prefix tuning, one for each layer, they are the deep prompts of the paper in the
 * form that joins them to a layer's keys and values. Learning rate, optimiser and weight decay are not used.
 *
 * @param dimensions of z
 * @param population candidates of a step
 * @param alpha factor of the deviation
 * @param parts into how many blocks a tensor is cut along its last axis: for prefix tuning the number of layers. One that cannot be
 *     cut so, such as the bias of a classifier's head, is a block whole
 */
public record BlackBox(int dimensions, int population, double alpha, int parts) implements Descent.Factory {
    private static final String LOG = "cma.losses.";
    private static final String START = "cma.start.";
    private static final int CLIPPINGS = 5;

    /** @throws IllegalArgumentException for numbers that leave nothing to search */
    public BlackBox {
        if (dimensions < 2 || population < 4 || !(alpha > 0) || parts < 1) {
            throw new IllegalArgumentException("a search in " + dimensions + " dimensions with " + population + " candidates, alpha " + alpha
                    + " and " + parts + " parts is not possible. Give at least 2 dimensions, 4 candidates and 1 part, and an alpha above 0.");
        }
    }

    /** The paper's 500 dimensions and 20 candidates. */
    public static BlackBox of(int parts) {
        return new BlackBox(500, 20, 1, parts);
    }

    @Override
    public Descent start(TrainOptions options, long totalSteps) {
        return new Run(options.seed());
    }

    private boolean canCut(Var v) {
        return v.size(v.rank() - 1) % parts == 0;
    }

    /** The deviation of what lies within three deviations of the mean, five times over; 1 where all is one number. */
    static double clippedDeviation(double[] values) {
        double[] v = values.clone();
        double std = 0;
        for (int round = 0; round <= CLIPPINGS; round++) {
            double mean = Arrays.stream(v).average().orElse(0);
            std = Math.sqrt(Arrays.stream(v).map(x -> (x - mean) * (x - mean)).sum() / v.length);
            double reach = 3 * std;
            v = Arrays.stream(v).map(x -> Math.clamp(x, mean - reach, mean + reach)).toArray();
        }
        return std > 0 ? std : 1;
    }

    /** One run. */
    private final class Run implements Descent {
        private final long seed;
        private final List<BlockSearch> blocks = new ArrayList<>();
        private Map<String, Tensor> restored = Map.of();
        private long steps;

        Run(long seed) {
            this.seed = seed;
        }

        @Override
        public Outcome step(StepInput input) {
            if (blocks.isEmpty()) {
                begin(input.trainables());
            }
            BlockSearch block = blocks.get((int) (steps % blocks.size()));
            double best = block.step(z -> {
                block.place(z);
                return input.loss();
            });
            block.place(block.best());
            steps++;
            return new Outcome(best, 0);
        }

        private void begin(SequencedMap<String, Var> trainables) {
            if (trainables.values().stream().noneMatch(BlackBox.this::canCut)) {
                throw new IllegalArgumentException("none of " + trainables.keySet() + " can be cut into " + parts
                        + " parts. Give a number that divides the last axis of one: for prefix tuning that of the layers.");
            }
            trainables.forEach((name, v) -> {
                int cuts = canCut(v) ? parts : 1;
                long width = v.size(v.rank() - 1);
                for (int i = 0; i < cuts; i++) {
                    Tensor part = v.tensor().slice(v.rank() - 1, i * width / cuts, (i + 1) * width / cuts);
                    String own = name + "." + i;
                    double[] start = restored.containsKey(START + own) ? restored.get(START + own).toDoubleArray() : part.toDoubleArray();
                    blocks.add(new BlockSearch(BlackBox.this, own, part, start, seed, blocks.size()));
                }
            });
            for (BlockSearch b : blocks) {
                b.repeat(restored.containsKey(LOG + b.name()) ? restored.get(LOG + b.name()).toDoubleArray() : new double[0]);
            }
        }

        @Override
        public double rate() {
            return 0;
        }

        @Override
        public Map<String, Tensor> state() {
            Map<String, Tensor> out = new LinkedHashMap<>();
            for (BlockSearch b : blocks) {
                out.put(START + b.name(), numbers(b.start()));
                out.put(LOG + b.name(), numbers(b.log()));
            }
            return out;
        }

        private static Tensor numbers(double[] values) {
            return Tensor.of(Backends.reference(), DType.F64, values, values.length);
        }

        @Override
        public void restore(Map<String, Tensor> state, long count) {
            if (count > 0 && state.keySet().stream().noneMatch(n -> n.startsWith(LOG))) {
                throw new IllegalArgumentException("the saved state " + state.keySet() + " is not of a search without gradients. "
                        + "Resume with the settings that the run was saved with.");
            }
            Map<String, Tensor> own = new LinkedHashMap<>();
            state.forEach((name, t) -> own.put(name, numbers(t.toDoubleArray())));
            restored = own;
            steps = count;
        }

        @Override
        public void close() {
            blocks.forEach(BlockSearch::close);
        }
    }
}
