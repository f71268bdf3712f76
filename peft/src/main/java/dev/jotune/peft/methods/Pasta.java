package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.models.Encoder;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.regex.Pattern;

/**
 * PASTA: Parameter-Efficient Tuning with Special Token Adaptation (Yang et al., arXiv 2210.04382).
 *
 * <p>Before block l the state of the s-th special token of a text becomes {@code h_l[pos_s] + dropout(e_l,s)}, {@code e [L, S, C]};
 * all other positions stay. Special tokens are counted in the order in which they occur: a pair of texts, {@code [CLS] .. [SEP] ..
 * [SEP]}, has three. Those behind the S-th stay too. Trainable: {@code L S C}.
 *
 * <p>For text encoders, which see a whole text at once. It adds to some positions only, so it cannot be merged.
 *
 * @param specialTokenIds which tokens are special: of BERT 101 and 102, {@code [CLS]} and {@code [SEP]}
 * @param numSlots S
 * @param dropout of e while training
 * @param initStd deviation of e as it starts; the paper's code leaves it to BERT's own initialisation
 */
public record Pasta(List<Integer> specialTokenIds, int numSlots, double dropout, double initStd, List<String> modulesToSave)
        implements TuningMethod {
    public static final Pasta DEFAULTS = new Pasta(List.of(), 3, 0.1, 0.02, List.of());

    public Pasta withTokens(Integer... ids) {
        return new Pasta(List.of(ids), numSlots, dropout, initStd, modulesToSave);
    }

    public Pasta starting(double std) {
        return new Pasta(specialTokenIds, numSlots, dropout, std, modulesToSave);
    }

    @Override
    public Pasta withModulesToSave(List<String> modules) {
        return new Pasta(specialTokenIds, numSlots, dropout, initStd, modules);
    }

    @Override
    public String peftType() {
        return "PASTA";
    }

    @Override
    public String changesAtStart() {
        return initStd == 0 ? "" : "init_std " + initStd + " starts the vectors at random";
    }

    @Override
    public void attachTo(Attachment a) {
        if (!(a.model() instanceof Encoder)) {
            throw new AdapterException("PASTA is for text encoders, and a " + a.model().modelType() + " model is none. Choose another method.");
        }
        if (specialTokenIds.isEmpty()) {
            throw new AdapterException("special_token_ids is empty. Name the special tokens of the model, 101 and 102 for most BERTs.");
        }
        Require.positive("num_slots", numSlots);
        Require.dropout("dropout", dropout);
        Require.notNegative("init_std", initStd);
        // What enters block l is what left the one before it.
        List<TapSite> entering = a.taps(Pattern.compile("embed|layers\\.\\d+"));
        for (int l = 0; l < a.model().layers(); l++) {
            TapSite t = entering.get(l);
            Var e = a.trainable("layers." + l + ".pasta", Init.normal(initStd), numSlots, t.width());
            a.tap(t.name(), new Slots(e, this));
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    /** The vectors of one block, {@code e [S, C]}. */
    private record Slots(Var e, Pasta of) implements Tap {
        @Override
        public Var apply(String name, Var h, At at) {
            Pass pass = at.pass();
            long[][] ids = pass.text().orElseThrow(() -> new IllegalArgumentException("PASTA adapts special tokens, and the input is embeddings, of "
                    + "which nobody knows what tokens they are. Give token ids.")).tokens();
            Var rows = pass.training() ? Dropout.apply(e, of.dropout, pass.seed(), pass.stream("pasta." + name)) : e;
            return h.add(Var.constant(places(ids, h)).matmul(rows));
        }

        /** 1 where a position holds the s-th special token of its text, {@code [B, n + T, S]}. */
        private Tensor places(long[][] ids, Var h) {
            int time = Math.toIntExact(h.size(1));
            int slots = of.numSlots;
            double[] ones = new double[ids.length * time * slots];
            for (int b = 0; b < ids.length; b++) {
                int before = time - ids[b].length;
                int slot = 0;
                for (int t = 0; t < ids[b].length && slot < slots; t++) {
                    if (of.specialTokenIds.contains((int) ids[b][t])) {
                        ones[(b * time + before + t) * slots + slot++] = 1;
                    }
                }
            }
            return Tensor.of(h.backend(), h.dtype(), ones, ids.length, time, slots);
        }
    }
}
