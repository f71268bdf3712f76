package dev.jotune.peft.methods;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionSite.Kind;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;

/**
 * Prefix-Tuning (Li and Liang, arXiv 2101.00190); without projection the same as P-Tuning v2 (Liu et al., 2110.07602).
 *
 * <p>Every attention sees n more keys and values, {@code [K; k_text]}, {@code [V; v_text]}: a segment that all rows of
 * the batch share. {@code P [n, 2 L G D]} holds, for each virtual token, keys and values of all layers as they enter
 * attention, after rotary embedding. Trained directly, or as {@code P = MLP(E)}, {@code MLP(e) = W2 tanh(W1 e + b1) + b2}
 * with {@code E [n, G D]}. The text's positions begin at n. Trainable: {@code n 2 L G D}, or that of E and the MLP.
 *
 * <p>On an encoder-decoder, as in PEFT: only the decoder's own attention has a prefix; P has the L layers of the encoder, and
 * layer l of the decoder reads {@code P_j}, {@code j = 2 l mod L}. (PEFT joins P twice, {@code [P; P]}, and deals it out four
 * slices a layer, two for the decoder's own attention and two for the source, which it then drops.) Only the decoder's
 * positions begin at n. With {@code prefix_attentions} "all", as in the paper, the encoder's attentions, the decoder's own and
 * those to the source each have keys and values in P, and the positions of both inputs begin at n; PEFT cannot read that.
 *
 * @param numVirtualTokens n
 * @param prefixProjection whether P comes from the MLP
 * @param encoderHiddenSize width of the MLP; absent: that of a token, G D
 * @param initWeights {@code "zero"} starts P at 0; absent: standard normal, as torch's Embedding
 * @param prefixAttentions {@code "all"}: an encoder-decoder has a prefix everywhere; absent: where PEFT puts it
 */
public record PrefixTuning(int numVirtualTokens, boolean prefixProjection,
        @JsonInclude(JsonInclude.Include.ALWAYS) Optional<Integer> encoderHiddenSize, Optional<String> initWeights,
        List<String> modulesToSave, Optional<String> prefixAttentions) implements TuningMethod {
    private static final String TABLE = "prompt_embeddings";
    private static final String EMBEDDING = "embedding.weight";

    public static final PrefixTuning DEFAULTS = new PrefixTuning(20, false, Optional.empty(), Optional.empty(), List.of());

    public PrefixTuning(int numVirtualTokens, boolean prefixProjection, Optional<Integer> encoderHiddenSize, Optional<String> initWeights,
            List<String> modulesToSave) {
        this(numVirtualTokens, prefixProjection, encoderHiddenSize, initWeights, modulesToSave, Optional.empty());
    }

    public PrefixTuning withTokens(int n) {
        return new PrefixTuning(n, prefixProjection, encoderHiddenSize, initWeights, modulesToSave, prefixAttentions);
    }

    @Override
    public PrefixTuning withModulesToSave(List<String> modules) {
        return new PrefixTuning(numVirtualTokens, prefixProjection, encoderHiddenSize, initWeights, modules, prefixAttentions);
    }

    /** With a prefix in every attention of an encoder-decoder too. */
    public PrefixTuning everywhere() {
        return new PrefixTuning(numVirtualTokens, prefixProjection, encoderHiddenSize, initWeights, modulesToSave, Optional.of("all"));
    }

    @Override
    public String peftType() {
        return "PREFIX_TUNING";
    }

    @Override
    public String changesAtStart() {
        return "every query attends to the prefix from the start, whatever its values";
    }

    @Override
    public void attachTo(Attachment a) {
        a.checkVirtualTokens(numVirtualTokens);
        if (initWeights.isPresent() && !initWeights.get().equals("zero")) {
            throw new AdapterException("init_weights is '" + initWeights.get() + "'; it must be \"zero\" or absent.");
        }
        if (!prefixAttentions.orElse("all").equals("all")) {
            throw new AdapterException("prefix_attentions is '" + prefixAttentions.get() + "'; it must be \"all\" or absent.");
        }
        if (encoderHiddenSize.orElse(1) <= 0) {
            throw new AdapterException("encoder_hidden_size is " + encoderHiddenSize.get() + "; it must be positive or absent.");
        }
        List<AttentionSite> sites = a.model().seams().attentions();
        if (sites.isEmpty()) {
            throw new AdapterException("prefix tuning needs attentions to add keys to, and a " + a.model().modelType()
                    + " model has none. Choose another method.");
        }
        boolean withSource = prefixAttentions.isEmpty() && sites.stream().anyMatch(s -> s.kind() == Kind.CROSS);
        long[] columns = withSource ? columnsWithSource(sites, a.model().layers()) : columns(sites);
        AttentionSite some = sites.get(first(columns));
        long token = PrefixSegments.width(some);
        long width = withSource ? 2 * a.model().layers() * token : 2 * sites.stream().mapToLong(PrefixSegments::width).sum();
        // A file written by PEFT holds P alone; the MLP behind it is gone, and P is trained on directly.
        boolean projected = prefixProjection && (!a.isLoading() || a.holds(EMBEDDING));
        PrefixSegments.Table table = projected ? projection(a, token, width) : direct(a, width);
        if (projected) {
            a.export(TABLE, () -> Recording.off(table::value).tensor());
        }
        a.segments(new PrefixSegments(table, numVirtualTokens, columns, withSource ? Optional.of("decoder.embed") : Optional.empty()));
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    /** Where P has the keys of each attention, its values following: one attention after the other. */
    private static long[] columns(List<AttentionSite> sites) {
        long[] at = new long[sites.size()];
        for (int i = 1; i < at.length; i++) {
            at[i] = at[i - 1] + 2 * PrefixSegments.width(sites.get(i - 1));
        }
        return at;
    }

    /** The same on an encoder-decoder: {@code 2 l mod L} for layer l of the decoder, -1 for what has no prefix. */
    private static long[] columnsWithSource(List<AttentionSite> sites, int layers) {
        return sites.stream().mapToLong(s -> s.kind() == Kind.CAUSAL ? 2L * s.layer() % layers * 2 * PrefixSegments.width(s) : -1).toArray();
    }

    private static int first(long[] columns) {
        int i = 0;
        while (columns[i] < 0) {
            i++;
        }
        return i;
    }

    private PrefixSegments.Table direct(Attachment a, long width) {
        Var p = a.trainable(TABLE, initWeights.isPresent() ? Init.ZEROS : Init.normal(1), numVirtualTokens, width);
        return () -> p;
    }

    private PrefixSegments.Table projection(Attachment a, long token, long width) {
        long hidden = encoderHiddenSize.orElse((int) token);
        Var e = a.internal(EMBEDDING, Init.normal(1), numVirtualTokens, token);
        Var w1 = a.internal("transform.0.weight", Init.KAIMING, hidden, token);
        Var b1 = a.internal("transform.0.bias", Init.uniform(1 / Math.sqrt(token)), hidden);
        Var w2 = a.internal("transform.2.weight", Init.KAIMING, width, hidden);
        Var b2 = a.internal("transform.2.bias", Init.uniform(1 / Math.sqrt(hidden)), width);
        return () -> Linear.apply(Activations.tanh(Linear.apply(e, w1, b1)), w2, b2);
    }
}
