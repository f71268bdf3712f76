package dev.jotune.peft.methods;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.StepHook;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.LongStream;

/**
 * LoFiT: Localized Fine-tuning on LLM Representations (Yin et al., arXiv 2406.01563).
 *
 * <p>{@code z_h [D]} is head h's output before the output projection. Two stages, each an adapter of its own:
 * <ol>
 * <li>{@code scales}: {@code z_h <- (1 + A_h) * z_h} for every head, under the task's loss and, in every step of a run, {@code l1_weight} times
 * the sum of {@code |A|}. {@link #selected} keeps the K heads of largest {@code ||A_h||}, about 3% of all;
 * <li>{@code offsets}: {@code z_h <- z_h + v_h} for those alone. Merging makes it {@code b' = b + sum_h W_o[:, h] v_h}.
 * </ol>
 * Trainable: {@code K D}; in the first stage D for every head.
 *
 * @param stage {@code scales} or {@code offsets}
 * @param heads of the second stage, each the name of an attention and the head's number: {@code layers.3.attn.7}
 * @param initStd deviation of A and v as they start
 * @param l1Weight of the first stage's penalty; 0 for none
 */
public record Lofit(String stage, List<String> heads, double initStd, double l1Weight, List<String> modulesToSave) implements TuningMethod {
    public static final Lofit DEFAULTS = new Lofit("scales", List.of(), 1e-3, 5e-4, List.of());
    private static final String OUTPUT = ".head_out";
    private static final String SCALES = OUTPUT + ".lofit_a";

    /** The second stage at some heads. */
    public Lofit at(List<String> chosen) {
        return new Lofit("offsets", List.copyOf(chosen), initStd, l1Weight, modulesToSave);
    }

    /** The second stage at the k heads that the first one, trained, moved most. */
    public static Lofit selected(Adapter scales, int k) {
        Map<String, Double> norms = new LinkedHashMap<>();
        scales.trainables().forEach((key, a) -> {
            if (key.endsWith(SCALES)) {
                double[] values = a.tensor().toDoubleArray();
                int width = Math.toIntExact(a.size(1));
                for (int i = 0; i < values.length; i++) {
                    norms.merge(key.replace(SCALES, ".") + i / width, values[i] * values[i], Double::sum);
                }
            }
        });
        if (k <= 0 || k > norms.size()) {
            throw new AdapterException("cannot select " + k + " of the " + norms.size() + " heads that have scales in adapter '" + scales.name()
                    + "'. Give an adapter of the stage scales, and at least 1 and at most that many heads.");
        }
        return ((Lofit) scales.method()).at(norms.entrySet().stream().sorted(Map.Entry.<String, Double>comparingByValue(Comparator.reverseOrder()))
                .limit(k).map(Map.Entry::getKey).toList());
    }

    @Override
    public Lofit withModulesToSave(List<String> modules) {
        return new Lofit(stage, heads, initStd, l1Weight, modules);
    }

    @Override
    public String peftType() {
        return "LOFIT";
    }

    @Override
    public String changesAtStart() {
        return initStd == 0 ? "" : "init_std " + initStd + " starts the vectors at random";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.notNegative("init_std", initStd);
        Require.notNegative("l1_weight", l1Weight);
        List<TapSite> outputs = a.taps(Pattern.compile(".*\\" + OUTPUT));
        switch (stage) {
            case "scales" -> scales(a, outputs);
            case "offsets" -> offsets(a, outputs);
            default -> throw new AdapterException("stage is '" + stage + "'; it must be scales or offsets.");
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private void scales(Attachment a, List<TapSite> outputs) {
        if (outputs.isEmpty() || !heads.isEmpty()) {
            throw new AdapterException(outputs.isEmpty() ? "LoFiT needs heads of attention, and a " + a.model().modelType() + " model has none."
                    + " Choose another method." : "heads are given for the stage scales, which is there to find them. Leave them out.");
        }
        List<Var> all = new ArrayList<>();
        for (TapSite t : outputs) {
            Var s = a.trainable(t.name() + ".lofit_a", Init.normal(initStd), t.features().getFirst(), t.width());
            all.add(s);
            a.tap(t.name(), (_, z, _) -> z.add(z.mul(s)));
        }
        if (l1Weight > 0) {
            a.eachStep(StepHook.ofPenalty(() -> all.stream().map(s -> Activations.relu(s).add(Activations.relu(s.neg())).sum())
                    .reduce(Var::add).orElseThrow().mul(l1Weight)));
        }
    }

    private void offsets(Attachment a, List<TapSite> outputs) {
        List<String> left = new ArrayList<>(heads);
        for (TapSite t : outputs) {
            int all = Math.toIntExact(t.features().getFirst());
            String site = t.name().replace(OUTPUT, ".");
            long[] own = LongStream.range(0, all).filter(h -> left.remove(site + h)).toArray();
            if (own.length > 0) {
                Var v = a.trainable(t.name() + ".lofit_v", Init.normal(initStd), own.length, t.width());
                a.tap(t.name(), new Offsets(v, Tensor.of(a.model().backend(), own, own.length), all));
            }
        }
        if (heads.isEmpty() || !left.isEmpty()) {
            String wrong = heads.isEmpty() ? "heads is empty" : "heads: the model has no head " + left.getFirst() + ", or it is named twice";
            throw new AdapterException(wrong + ". Name heads as layers.0.attn.1, up to those of "
                    + outputs.stream().map(TapSite::name).reduce((_, last) -> last).orElse("no attention: this model has none") + ".");
        }
    }

    /** v {@code [K, D]} at K of the H heads of one attention; what is added elsewhere is exactly 0. */
    private record Offsets(Var v, Tensor heads, int all) implements Tap {
        /** {@code [H, D]}. */
        private Var added() {
            return Lookup.scatterAdd(v, heads, all);
        }

        @Override
        public Var apply(String name, Var z, At at) {
            return z.add(added());
        }

        @Override
        public Optional<Var> shift() {
            return Optional.of(added().reshape(-1));
        }
    }
}
