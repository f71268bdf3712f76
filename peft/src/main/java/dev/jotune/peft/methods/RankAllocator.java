package dev.jotune.peft.methods;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.peft.Attachment;
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

    /** The factors of one layer. */
    record Triplets(String path, Var a, Var b, Var e) {
        String key(String factor) {
            return Attachment.key(path) + "." + factor;
        }

        int rank() {
            return Math.toIntExact(e.size(0));
        }
    }

    private final AdaLora method;
    private final List<Triplets> layers;
    private final Importance importance;
    private final Map<String, boolean[]> kept = new LinkedHashMap<>();

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
            Var both = distance(t.a.matmul(t.a.transpose(0, 1))).add(distance(t.b.transpose(0, 1).matmul(t.b)));
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
            layers.stream().filter(t -> kept.containsKey(t.path)).forEach(this::clear);
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
        layers.forEach(t -> scores.put(t, score(t)));
        double[] sorted = scores.values().stream().flatMapToDouble(Arrays::stream).sorted().toArray();
        double threshold = sorted.length > budget ? sorted[sorted.length - budget - 1] : Double.NEGATIVE_INFINITY;
        scores.forEach((t, score) -> {
            boolean[] stays = new boolean[score.length];
            for (int i = 0; i < stays.length; i++) {
                stays[i] = score[i] > threshold;
            }
            kept.put(t.path, stays);
            clear(t);
        });
    }

    private double[] score(Triplets t) {
        double[] score = importance.mean(t.key("lora_E"), t.e, 1);
        double[] a = importance.mean(t.key("lora_A"), t.a, 1);
        double[] b = importance.mean(t.key("lora_B"), t.b, 0);
        Arrays.setAll(score, i -> score[i] + a[i] + b[i]);
        return score;
    }

    /** Sets e to 0 where a triplet was taken away. */
    private void clear(Triplets t) {
        boolean[] stays = kept.get(t.path);
        double[] e = t.e.tensor().toDoubleArray();
        for (int i = 0; i < e.length; i++) {
            e[i] = stays[i] ? e[i] : 0;
        }
        t.e.tensor().copyFrom(Tensor.of(t.e.backend(), t.e.dtype(), e, t.e.shape()));
    }

    /** What is left of a factor whose triplets lie along {@code axis}. */
    Tensor left(Triplets t, Var factor, int axis) {
        boolean[] stays = kept.get(t.path);
        if (stays == null) {
            return factor.tensor();
        }
        long[] at = IntStream.range(0, stays.length).filter(i -> stays[i]).asLongStream().toArray();
        return Recording.off(() -> {
            Var rows = Lookup.gather(factor.transpose(0, axis), Tensor.of(factor.backend(), at, at.length));
            return rows.transpose(0, axis).tensor().contiguous();
        });
    }

    /** PEFT's {@code rank_pattern}; empty before the first decision, of an adapter loaded with one, that one. */
    Optional<Map<String, List<Boolean>>> pattern() {
        Map<String, List<Boolean>> out = new TreeMap<>();
        kept.forEach((path, stays) -> {
            Boolean[] boxed = new Boolean[stays.length];
            Arrays.setAll(boxed, i -> stays[i]);
            out.put(path + ".lora_E", List.of(boxed));
        });
        return out.isEmpty() ? Optional.empty() : Optional.of(out);
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> out = new LinkedHashMap<>(importance.state());
        kept.forEach((path, stays) -> out.put(KEPT + path, Tensor.of(layers.getFirst().e.backend(), stays, stays.length)));
        return out;
    }

    @Override
    public void reset() {
        importance.clear();
        kept.clear();
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        reset();
        state.forEach((name, t) -> {
            if (name.startsWith(KEPT)) {
                double[] stays = t.toDoubleArray();
                boolean[] values = new boolean[stays.length];
                for (int i = 0; i < stays.length; i++) {
                    values[i] = stays[i] != 0;
                }
                kept.put(name.substring(KEPT.length()), values);
            } else {
                importance.restore(name, t);
            }
        });
    }
}
