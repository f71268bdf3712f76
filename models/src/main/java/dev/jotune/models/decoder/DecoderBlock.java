package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Weights;
import dev.jotune.models.decoder.DecoderConfig.NormPlacement;
import dev.jotune.models.head.Noise;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One block, {@code h += attention(h); h += mlp(h)}, each with a norm before, after, or on both sides.
 *
 * <p>Taps: {@code layers.3.attn.head_out}, {@code layers.3.attn.out} and {@code layers.3.mlp.out} (as the modules give
 * them, before any norm behind), {@code layers.3.mlp.act} (dense), {@code layers.3.mlp.router} (experts),
 * {@code layers.3.mid}, {@code layers.3}.
 */
final class DecoderBlock {
    private static final List<String> NAMES = List.of("gate_proj", "up_proj", "down_proj");

    private final DecoderAttention attention;
    private final FeedForward mlp;
    private final Optional<RmsNorm> beforeAttention;
    private final Optional<RmsNorm> afterAttention;
    private final Optional<RmsNorm> beforeMlp;
    private final Optional<RmsNorm> afterMlp;
    private final String mid;
    private final String mlpOut;
    private final String out;
    private final double dropout;

    DecoderBlock(DecoderConfig c, int layer, Weights w, Seams seams) {
        String path = "model.layers." + layer;
        String tap = "layers." + layer;
        attention = new DecoderAttention(c, layer, path + ".self_attn", w, seams);
        mlp = mlp(c, layer, path, tap, w, seams);
        boolean around = c.norms() == NormPlacement.AROUND;
        boolean before = c.norms() != NormPlacement.AFTER;
        boolean after = c.norms() != NormPlacement.BEFORE;
        beforeAttention = norm(before, path + ".input_layernorm", c, w);
        afterAttention = norm(after, path + ".post_attention_layernorm", c, w);
        beforeMlp = norm(before, path + (around ? ".pre_feedforward_layernorm" : ".post_attention_layernorm"), c, w);
        afterMlp = norm(after, path + ".post_feedforward_layernorm", c, w);
        mid = seams.addTap(tap + ".mid", c.hiddenSize());
        mlpOut = seams.addTap(tap + ".mlp.out", c.hiddenSize());
        out = seams.addTap(tap, c.hiddenSize());
        dropout = c.dropout().residual();
    }

    private static FeedForward mlp(DecoderConfig c, int layer, String path, String tap, Weights w, Seams seams) {
        if (c.isSparse(layer)) {
            return new MixtureOfExperts(c, path + "." + c.experts().get().module(), tap + ".mlp.router", w, seams);
        }
        Optional<String> act = Optional.of(tap + ".mlp.act");
        GatedMlp mlp = c.fusedProjections() ? GatedMlp.fused(path + ".mlp", c, w, act)
                : GatedMlp.of(path + ".mlp", NAMES, c.intermediateSize(), c, w, act);
        seams.addTap(act.get(), mlp.down(), c.intermediateSize());
        return mlp;
    }

    private static Optional<RmsNorm> norm(boolean there, String path, DecoderConfig c, Weights w) {
        return there ? Optional.of(RmsNorm.of(path, c.hiddenSize(), c, w)) : Optional.empty();
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}, then the router's logits {@code [B, T, E]} if there is one.
     *
     * @param added segments that adapters put before the text's own
     */
    Var[] forward(Var h, List<Attention.Segment> added, DecoderPass run) {
        Pass pass = run.pass();
        List<Var> said = new ArrayList<>();
        boolean still = dropout == 0 || !pass.training();
        Optional<Var> first = Optional.of(h).filter(v -> still && afterAttention.isEmpty());
        Var mixed = attention.forward(normed(beforeAttention, h, pass), first, added, run);
        Var x = pass.tap(mid, first.isPresent() ? mixed : h.add(Noise.dropout(normed(afterAttention, mixed, pass), dropout, pass, out + ".attn")));
        Var read = normed(beforeMlp, x, pass);
        Optional<Var> second = Optional.of(x).filter(v -> still && afterMlp.isEmpty() && !pass.isTapped(mlpOut));
        Var y = pass.tap(mlpOut, mlp.forward(read, second, pass, said), read);
        said.addFirst(pass.tap(out, second.isPresent() ? y : x.add(Noise.dropout(normed(afterMlp, y, pass), dropout, pass, out + ".mlp"))));
        return said.toArray(Var[]::new);
    }

    /**
     * This block as the decode kernel has it; empty where it computes something else.
     *
     * @param parts notes what is read, to see when a weight is replaced
     */
    Optional<DecodeKernel.Layer> prepared(DecodeParts parts) {
        if (beforeAttention.isEmpty() || afterAttention.isPresent() || !(mlp instanceof GatedMlp gated) || !gated.isSwiglu()
                || gated.inputs().size() != 2 || !attention.isPlain()) {
            return Optional.empty();
        }
        return Optional.of(attention.prepared(parts, beforeAttention.get(), beforeMlp.get(), gated));
    }

    private static Var normed(Optional<RmsNorm> norm, Var x, Pass pass) {
        return norm.isPresent() ? norm.get().apply(x, pass) : x;
    }
}
