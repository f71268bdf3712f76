package dev.jotune.models.t5;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.Encoded;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seq2seq.MultiHeadAttention;
import dev.jotune.models.seq2seq.Seq2SeqCache;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The encoder or the decoder: blocks of {@code h += f(norm(h))}, f attention, attention to the source, feed-forward. While training,
 * what enters and leaves the stack, what is added, the probabilities of attention and the middle of the feed-forward part pass
 * through dropout.
 */
final class T5Stack {
    private static final MultiHeadAttention.Projections NAMES = new MultiHeadAttention.Projections("q", "k", "v", "o", false, false);

    private final T5Config config;
    private final RelativePositions distances;
    private final List<Block> blocks = new ArrayList<>();
    private final List<AttentionSite> sites = new ArrayList<>();
    private final Parameter finalNorm;
    private final String last;

    /** One block's parts; {@code cross} only in a decoder. */
    private record Block(Parameter selfNorm, MultiHeadAttention self, Optional<Parameter> crossNorm, Optional<MultiHeadAttention> cross,
            Parameter norm, Optional<LinearLayer> gate, LinearLayer up, LinearLayer down, String mid, String act, String mlpOut,
            String out) {}

    /** @param name {@code encoder} or {@code decoder} */
    T5Stack(T5Config c, String name, boolean decoder, DType computeType, Weights w, Seams seams) {
        this.config = c;
        int layers = decoder ? c.numDecoderLayers() : c.numLayers();
        for (int i = 0; i < layers; i++) {
            blocks.add(block(name, i, decoder, w, seams));
        }
        distances = new RelativePositions(
                w.parameter(name + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight", c.relativeAttentionNumBuckets(), c.numHeads()),
                !decoder, c.relativeAttentionMaxDistance(), computeType);
        finalNorm = w.parameter(name + ".final_layer_norm.weight", c.dModel());
        last = seams.addTap(name + ".final", c.dModel());
    }

    private Block block(String name, int i, boolean decoder, Weights w, Seams seams) {
        String path = name + ".block." + i + ".layer.";
        String tap = name + ".layers." + i;
        Parameter selfNorm = norm(path + 0, w);
        MultiHeadAttention self = attention(path + "0.SelfAttention", i, decoder ? AttentionSite.Kind.CAUSAL
                : AttentionSite.Kind.BIDIRECTIONAL, tap + ".attn", w, seams);
        Optional<Parameter> crossNorm = decoder ? Optional.of(norm(path + 1, w)) : Optional.empty();
        Optional<MultiHeadAttention> cross = decoder
                ? Optional.of(attention(path + "1.EncDecAttention", i, AttentionSite.Kind.CROSS, tap + ".cross", w, seams)) : Optional.empty();
        String feed = path + (decoder ? 2 : 1);
        String dense = feed + ".DenseReluDense.";
        Optional<LinearLayer> gate = config.gated() ? Optional.of(w.linear(dense + "wi_0", config.dFf(), config.dModel(), false))
                : Optional.empty();
        Parameter norm = norm(feed, w);
        LinearLayer up = w.linear(dense + (config.gated() ? "wi_1" : "wi"), config.dFf(), config.dModel(), false);
        LinearLayer down = w.linear(dense + "wo", config.dModel(), config.dFf(), false);
        return new Block(selfNorm, self, crossNorm, cross, norm, gate, up, down, seams.addTap(tap + ".mid", config.dModel()),
                seams.addTap(tap + ".mlp.act", down, config.dFf()),
                seams.addTap(tap + ".mlp.out", config.dModel()), seams.addTap(tap, config.dModel()));
    }

    private Parameter norm(String path, Weights w) {
        return w.parameter(path + ".layer_norm.weight", config.dModel());
    }

    /** Scores are not scaled: the initialisation of the projections has it. */
    private MultiHeadAttention attention(String path, int layer, AttentionSite.Kind kind, String tap, Weights w, Seams seams) {
        AttentionSite site = new AttentionSite(path, layer, config.numHeads(), config.numHeads(), config.dKv(), kind, tap, config.dropout());
        sites.add(site);
        return new MultiHeadAttention(site, NAMES, config.dModel(), 1, w, seams);
    }

    List<AttentionSite> sites() {
        return sites;
    }

    RelativePositions distances() {
        return distances;
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}, normalised.
     *
     * @param visible what a query sees, with the bias of distances
     * @param added segments of adapters for each of {@link #sites}
     */
    Var forward(Var h, Attention.Visible visible, List<List<Attention.Segment>> added, Optional<Encoded> source,
            Optional<Seq2SeqCache> cache, boolean checkpointing, Pass pass) {
        Var x = dropout(h, last + ".in", pass);
        int perBlock = source.isPresent() ? 2 : 1;
        for (int i = 0; i < blocks.size(); i++) {
            Block block = blocks.get(i);
            List<List<Attention.Segment>> own = added.subList(perBlock * i, perBlock * (i + 1));
            x = Checkpoint.when(checkpointing, v -> forward(block, v, visible, own, source, cache, pass), x);
        }
        return pass.tap(last, dropout(norm(x, finalNorm, pass), last, pass));
    }

    private Var forward(Block block, Var h, Attention.Visible visible, List<List<Attention.Segment>> added, Optional<Encoded> source,
            Optional<Seq2SeqCache> cache, Pass pass) {
        Var mixed = block.self.self(norm(h, block.selfNorm, pass), added.getFirst(), visible, cache.map(Seq2SeqCache::target), pass);
        Var x = h.add(dropout(mixed, block.out + ".attn", pass));
        if (source.isPresent()) {
            Var asked = norm(x, block.crossNorm.get(), pass);
            Var read = block.cross.get().cross(asked, added.getLast(), source.get(), cache, pass);
            x = x.add(dropout(read, block.out + ".cross", pass));
        }
        x = pass.tap(block.mid, x);
        Var y = norm(x, block.norm, pass);
        Var middle = pass.tap(block.act, middle(block, y, pass));
        Var fed = pass.tap(block.mlpOut, block.down.forward(dropout(middle, block.act, pass), pass), y);
        return pass.tap(block.out, x.add(dropout(fed, block.mlpOut, pass)));
    }

    private Var middle(Block block, Var y, Pass pass) {
        Var up = block.up.forward(y, pass);
        if (block.gate.isEmpty()) {
            return Activations.byName(config.activation(), up);
        }
        Var gate = block.gate.get().forward(y, pass);
        return config.activation().equals("gelu_new") ? Activations.gegluTanh(gate, up)
                : Activations.byName(config.activation(), gate).mul(up);
    }

    private Var dropout(Var x, String use, Pass pass) {
        return Noise.dropout(x, config.dropout(), pass, use);
    }

    private Var norm(Var x, Parameter weight, Pass pass) {
        return pass.perGroup(x, (rows, g) -> Norms.rmsNorm(rows, weight.value(g).to(rows.dtype()), config.layerNormEpsilon()));
    }
}
