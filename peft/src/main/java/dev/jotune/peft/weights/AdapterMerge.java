package dev.jotune.peft.weights;

import dev.jotune.peft.AdapterException;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.TreeSet;
import java.util.function.BiFunction;

/**
 * One LoRA adapter of several, PEFT's {@code add_weighted_adapter}: of {@code sum of w_i s_i B_i A_i} something of low rank. The new
 * adapter's own scale is 1: alpha is r, and rsLoRA is off, which PEFT would leave on and so scale once more.
 *
 * <ul>
 * <li>{@link #combine}: A and B each for themselves, {@code A = C(sgn(w_i) sqrt|w_i s_i| A_i)}, {@code B = C(sqrt|w_i s_i| B_i)} with a
 *     {@link Combination} C. Products of one adapter's B with another's A appear. Ranks must be equal.
 * <li>{@link #cat}: {@code A = [w_1 s_1 A_1; ..]}, {@code B = [B_1, ..]}: exact, ranks add up.
 * <li>{@link #svd}: {@code B A} is the nearest of its rank to {@code C(w_i s_i B_i A_i)}: {@code B = U S}, {@code A = V^T}.
 * </ul>
 */
public final class AdapterMerge {
    private static final String PREFIX = "base_model.model.";
    private static final String A = ".lora_A.weight";
    private static final String B = ".lora_B.weight";

    private final List<AdapterFiles.Contents> parts;
    private final double[] weights;

    /** The factors of one layer in one adapter, with its scale s and its weight w. */
    private record Part(Tensor a, Tensor b, double scale, double weight) {
        double product() {
            return scale * weight;
        }
    }

    /**
     * @param weights one for each adapter
     * @throws AdapterException if one is not LoRA, trains more than A and B, or its factors are no pairs of matrices of one rank
     */
    public AdapterMerge(List<AdapterFiles.Contents> parts, double... weights) {
        if (parts.isEmpty() || parts.size() != weights.length) {
            throw new AdapterException(weights.length + " weights are given for " + parts.size() + " adapters. Give one for each.");
        }
        for (AdapterFiles.Contents part : parts) {
            if (!(part.method() instanceof Lora)) {
                throw new AdapterException(part.method().peftType() + " adapters have no factors A and B to merge; LoRA's have. Merge "
                        + "what the adapters make of the model's weights instead.");
            }
            if (part.method() instanceof Lora lora && !lora.targetParameters().isEmpty()) {
                throw new AdapterException("an adapter has target_parameters " + lora.targetParameters() + ", whose factors a weighted merge does "
                        + "not tell apart by expert. Merge what the adapters make of the model's weights instead.");
            }
            part.tensors().keySet().stream().filter(k -> !k.endsWith(A) && !k.endsWith(B)).findFirst().ifPresent(k -> {
                throw new AdapterException("an adapter trains " + k + " beside A and B, which a weighted merge has no place for. Merge "
                        + "what the adapters make of the model's weights instead.");
            });
            part.tensors().keySet().forEach(k -> checkFactor(part.tensors(), k));
        }
        this.parts = List.copyOf(parts);
        this.weights = weights.clone();
    }

    private static void checkFactor(Map<String, Tensor> tensors, String key) {
        String path = key.substring(0, key.length() - A.length());
        if (!key.startsWith(PREFIX) || path.length() <= PREFIX.length()) {
            throw new AdapterException("an adapter holds " + key + ", which does not begin with " + PREFIX + " and a layer's path. Save the "
                    + "adapter again as PEFT does.");
        }
        Tensor a = tensors.get(path + A);
        Tensor b = tensors.get(path + B);
        if (a == null || b == null) {
            throw new AdapterException("an adapter holds " + key + ", but no " + path + (a == null ? A : B) + ". A and B come in pairs: save "
                    + "the adapter again.");
        }
        if (a.rank() != 2 || b.rank() != 2 || a.size(0) != b.size(1)) {
            throw new AdapterException("an adapter holds " + path + A + " of shape " + Arrays.toString(a.shape()) + " and " + path + B + " of shape "
                    + Arrays.toString(b.shape()) + ", which are no [r, in] and [out, r]. Merge adapters of linear layers.");
        }
    }

    /**
     * Adapters of any one method, tensor by tensor: an average of prompts, of prefixes, of rescalings. The average of A and B
     * each is no average of B A; {@link #cat} is.
     *
     * @throws AdapterException if configurations or tensors differ, naming what
     */
    public static AdapterFiles.Contents entrywise(List<AdapterFiles.Contents> parts, CheckpointMerge.Rule rule) {
        AdapterFiles.Contents first = parts.getFirst();
        for (AdapterFiles.Contents p : parts) {
            if (!p.method().equals(first.method())) {
                throw new AdapterException("adapters of two configurations cannot be averaged: " + first.method() + " and " + p.method()
                        + ". Use cat or an svd kind for LoRA's.");
            }
            for (String key : first.tensors().keySet()) {
                Tensor t = p.tensors().get(key);
                if (t == null || p.tensors().size() != first.tensors().size() || !Arrays.equals(t.shape(), first.tensors().get(key).shape())) {
                    throw new AdapterException("the adapters do not both hold " + key + " of shape "
                            + Arrays.toString(first.tensors().get(key).shape()) + ", or hold others. Average adapters of one model.");
                }
            }
        }
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        first.tensors().forEach((key, t) -> out.put(key, Tensor.of(t.backend(), DType.F32,
                rule.apply(key, parts.stream().map(p -> Values.of(p.tensors().get(key))).toList()).toArray(), t.shape())));
        return new AdapterFiles.Contents(first.method(), out);
    }

    /** The kind {@code cat}. */
    public AdapterFiles.Contents cat() {
        int rank = parts.stream().mapToInt(AdapterMerge::rank).sum();
        return each(rank, (path, layer) -> {
            Factor down = Factor.zeros(rank, (int) layer.getFirst().a().size(1));
            Factor up = Factor.zeros((int) layer.getFirst().b().size(0), rank);
            int at = 0;
            for (Part p : layer) {
                down.place(at, 0, Factor.of(p.a()).times(p.product()));
                up.place(0, at, Factor.of(p.b()));
                at += (int) p.a().size(0);
            }
            return List.of(down, up);
        });
    }

    /**
     * The kinds {@code linear}, {@code ties}, {@code dare_linear}, {@code dare_ties} and {@code magnitude_prune}.
     *
     * @throws AdapterException if ranks differ
     */
    public AdapterFiles.Contents combine(Combination c) {
        int rank = rank(parts.getFirst());
        return each(rank, (path, layer) -> {
            double[] w = layer.stream().mapToDouble(p -> Math.signum(p.product()) * Math.sqrt(Math.abs(p.product()))).toArray();
            double[] positive = Arrays.stream(w).map(Math::abs).toArray();
            return List.of(combined(c, path + A, layer.stream().map(Part::a).toList(), w),
                    combined(c, path + B, layer.stream().map(Part::b).toList(), positive));
        });
    }

    private static Factor combined(Combination c, String name, List<Tensor> factors, double[] w) {
        Tensor first = factors.getFirst();
        for (Tensor t : factors) {
            if (!Arrays.equals(t.shape(), first.shape())) {
                throw new AdapterException(name + " is " + Arrays.toString(first.shape()) + " in one adapter and "
                        + Arrays.toString(t.shape()) + " in another, and factors can only be combined at one rank. Use cat or an svd kind.");
            }
        }
        Values sum = c.of(factors.stream().map(Values::of).toList(), w, CheckpointMerge.stream(name));
        return new Factor((int) first.size(0), (int) first.size(1), sum.toArray());
    }

    /**
     * The kinds {@code svd}, {@code ties_svd}, {@code dare_linear_svd}, {@code dare_ties_svd} and {@code magnitude_prune_svd}.
     *
     * @param rank of the new adapter; 0: the largest of the adapters'
     * @param clamp quantile of the new factors' numbers that their magnitudes are cut to
     */
    public AdapterFiles.Contents svd(Combination c, int rank, OptionalDouble clamp) {
        int r = rank > 0 ? rank : parts.stream().mapToInt(AdapterMerge::rank).max().orElseThrow();
        return each(r, (path, layer) -> {
            int out = (int) layer.getFirst().b().size(0);
            int in = (int) layer.getFirst().a().size(1);
            if (r > Math.min(out, in)) {
                throw new AdapterException("the new rank is " + r + ", more than " + path + " [" + out + ", " + in + "] has. Choose a smaller one.");
            }
            List<Values> deltas = layer.stream().map(p -> Values.of(Factor.of(p.b()).by(Factor.of(p.a())).times(p.scale()).numbers())).toList();
            Values sum = c.of(deltas, layer.stream().mapToDouble(Part::weight).toArray(), CheckpointMerge.stream(path));
            return new Factor(out, in, sum.toArray()).decomposed(r, clamp);
        });
    }

    private static int rank(AdapterFiles.Contents part) {
        Lora lora = (Lora) part.method();
        return Math.max(lora.r(), lora.rankPattern().values().stream().mapToInt(x -> x).max().orElse(0));
    }

    /** Applies {@code merge}, which gives A and B, to every layer that an adapter has. */
    private AdapterFiles.Contents each(int rank, BiFunction<String, List<Part>, List<Factor>> merge) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        Map<String, Integer> ranks = new LinkedHashMap<>();
        Map<String, Double> alphas = new LinkedHashMap<>();
        for (String key : keys()) {
            String path = key.substring(PREFIX.length());
            List<Factor> made = merge.apply(path, layer(key, path));
            out.put(key + A, made.get(0).tensor());
            out.put(key + B, made.get(1).tensor());
            if (made.getFirst().rows() != rank) {
                ranks.put(path, made.getFirst().rows());
                alphas.put(path, (double) made.getFirst().rows());
            }
        }
        Lora first = (Lora) parts.getFirst().method();
        Lora merged = new Lora(rank, rank, first.loraDropout(), false, false, targets(), Optional.empty(), List.of(), ranks, alphas,
                List.of(), List.of(), "none", false, Lora.DEFAULTS.initLoraWeights(), Lora.DEFAULTS.trainableTokenIndices(), false, List.of());
        return new AdapterFiles.Contents(merged, out);
    }

    private List<Part> layer(String key, String path) {
        List<Part> layer = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            Map<String, Tensor> tensors = parts.get(i).tensors();
            if (tensors.containsKey(key + A)) {
                Part part = new Part(tensors.get(key + A), tensors.get(key + B), ((Lora) parts.get(i).method()).scale(path), weights[i]);
                Part first = layer.isEmpty() ? part : layer.getFirst();
                if (part.a().size(1) != first.a().size(1) || part.b().size(0) != first.b().size(0)) {
                    throw new AdapterException(path + " is [" + first.b().size(0) + ", " + first.a().size(1) + "] in one adapter and ["
                            + part.b().size(0) + ", " + part.a().size(1) + "] in another. Merge adapters of one model.");
                }
                layer.add(part);
            }
        }
        return layer;
    }

    private SequencedSet<String> keys() {
        SequencedSet<String> keys = new LinkedHashSet<>();
        parts.forEach(p -> p.tensors().keySet().stream().filter(k -> k.endsWith(A))
                .forEach(k -> keys.add(k.substring(0, k.length() - A.length()))));
        return keys;
    }

    /** The adapters' names for their targets where these say it all, else each layer by its path. */
    private Targets targets() {
        List<Lora> methods = parts.stream().map(p -> (Lora) p.method()).toList();
        boolean plain = methods.stream().allMatch(m -> m.targetModules().pattern().isEmpty() && m.excludeModules().isEmpty()
                && m.layersToTransform().isEmpty());
        TreeSet<String> names = new TreeSet<>();
        if (plain) {
            methods.forEach(m -> names.addAll(m.targetModules().names()));
        } else {
            keys().forEach(k -> names.add(k.substring(PREFIX.length())));
        }
        return Targets.of(names.toArray(String[]::new));
    }
}
