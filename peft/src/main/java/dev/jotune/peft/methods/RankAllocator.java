package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.peft.StepHook;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * AdaLoRA's allocation of ranks (arXiv 2303.10512, sections 3.2 and 3.3).
 *
 * <p>A triplet is as important ({@link Importance}) as its e, plus the means over its row of A and its column of B. Every
 * {@code deltaT} updates as many triplets of all layers stay as the budget allows, which falls with the third power (equation
 * 12); of the others e is set to 0, until the last decision for a time. The loss is charged with {@code orth_reg_weight} times
 * the mean of {@code |A A^T - 1|} and {@code |B^T B - 1|} (equation 4).
 */
final class RankAllocator implements StepHook {
    private static final String KEPT = "kept.";
    /** Under the root of the regulariser, whose slope at 0 is none. */
    private static final double TINY = 1e-30;

    private final AdaLora method;
    private final List<Triplets> layers;
    private final Importance importance;

    RankAllocator(AdaLora method, List<Triplets> layers) {
        this.method = method;
        this.layers = layers;
        importance = new Importance(method.beta1(), method.beta2());
    }

    @Override
    public Optional<Var> penalty() {
        if (method.orthRegWeight() == 0 || layers.isEmpty()) {
            return Optional.empty();
        }
        Var sum = null;
        for (Triplets t : layers) {
            Var both = distance(t.a().matmul(t.a().transpose(0, 1))).add(distance(t.b().transpose(0, 1).matmul(t.b())));
            sum = sum == null ? both : sum.add(both);
        }
        return Optional.of(sum.mul(method.orthRegWeight() / (2 * layers.size())));
    }

    /** From the unit matrix. */
    private static Var distance(Var gram) {
        int n = Math.toIntExact(gram.size(0));
        double[] unit = new double[n * n];
        for (int i = 0; i < n; i++) {
            unit[i * (n + 1)] = 1;
        }
        return gram.sub(Var.constant(Tensor.of(gram.backend(), gram.dtype(), unit, n, n))).square().sum().add(TINY).sqrt();
    }

    @Override
    public void updated(long step, List<Trainable> trainables) {
        long last = method.totalStep() - method.tfinal();
        if (!method.rankPattern().isEmpty()) {
            return;
        }
        if (step < last) {
            trainables.stream().filter(t -> layers.stream().anyMatch(l -> t.name().startsWith(l.key("lora_")))).forEach(importance::measure);
        }
        if (step == last || step < last && step > method.tinit() && step % method.deltaT() == 0) {
            decide(budget(step));
        }
        if (step >= last) {
            importance.clear();
            layers.forEach(Triplets::clear);
        }
    }

    /** Triplets that stay after update {@code step}. */
    int budget(long step) {
        int start = layers.stream().mapToInt(Triplets::rank).sum();
        int end = method.targetR() * layers.size();
        double left = 1 - (double) (step - method.tinit()) / (method.totalStep() - method.tfinal() - method.tinit());
        return (int) ((start - end) * Math.pow(left, 3) + end);
    }

    private void decide(int budget) {
        Map<Triplets, double[]> scores = new LinkedHashMap<>();
        layers.forEach(t -> scores.put(t, t.score(importance)));
        double[] sorted = scores.values().stream().flatMapToDouble(Arrays::stream).sorted().toArray();
        double threshold = sorted.length > budget ? sorted[sorted.length - budget - 1] : Double.NEGATIVE_INFINITY;
        scores.forEach((t, score) -> {
            boolean[] stays = new boolean[score.length];
            for (int i = 0; i < stays.length; i++) {
                stays[i] = score[i] > threshold;
            }
            t.leave(Optional.of(stays));
            t.clear();
        });
    }

    /** PEFT's {@code rank_pattern}; empty before the first decision, of an adapter loaded with one, that one. */
    Optional<Map<String, List<Boolean>>> pattern() {
        Map<String, List<Boolean>> out = new TreeMap<>();
        layers.forEach(t -> t.left().ifPresent(stays -> out.put(t.path() + ".lora_E",
                IntStream.range(0, stays.length).mapToObj(i -> stays[i]).toList())));
        return out.isEmpty() ? Optional.empty() : Optional.of(out);
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> out = new LinkedHashMap<>(importance.state());
        layers.forEach(t -> t.left().ifPresent(stays -> out.put(KEPT + t.path(), Tensor.of(t.e().backend(), stays, stays.length))));
        return out;
    }

    @Override
    public void reset() {
        importance.clear();
        layers.forEach(t -> t.leave(Optional.empty()));
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        reset();
        state.forEach((name, saved) -> {
            if (!name.startsWith(KEPT)) {
                importance.restore(name, saved);
            }
        });
        layers.forEach(t -> t.leave(Optional.ofNullable(state.get(KEPT + t.path())).map(RankAllocator::truths)));
    }

    private static boolean[] truths(Tensor saved) {
        double[] values = saved.toDoubleArray();
        boolean[] out = new boolean[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = values[i] != 0;
        }
        return out;
    }
}
