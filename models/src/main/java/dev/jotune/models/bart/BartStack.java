package dev.jotune.models.bart;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Encoded;
import dev.jotune.models.Weights;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seq2seq.MultiHeadAttention;
import dev.jotune.models.seq2seq.Seq2SeqCache;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The blocks of an encoder or a decoder as BART and its relatives have them: attention, in a decoder attention to the
 * source, feed-forward. What is before and after the blocks is the model's.
 */
public final class BartStack {
    /**
     * Where families differ.
     *
     * @param path of the stack in the checkpoint, {@code model.encoder}
     * @param name of its taps, {@code encoder} or {@code decoder}
     * @param decoder whether tokens see only those before them, and attend to a source
     * @param hidden C
     * @param feedForward F
     * @param normFirst {@code h + f(norm(h))}, else {@code norm(h + f(h))}
     * @param keyBias whether the key projection has a bias
     * @param dropout while training
     */
    public record Options(String path, String name, boolean decoder, int layers, int heads, int hidden, int feedForward,
            String activation, boolean normFirst, boolean keyBias, DropoutRates dropout) {}

    /** Torch's default, which these families never change. */
    public static final double NORM_EPS = 1e-5;

    private final Options options;
    private final List<Block> blocks = new ArrayList<>();
    private final List<AttentionSite> sites = new ArrayList<>();

    private record Block(MultiHeadAttention self, Norm selfNorm, Optional<MultiHeadAttention> cross, Optional<Norm> crossNorm,
            LinearLayer up, LinearLayer down, Norm norm, String mid, String act, String mlpOut, String out) {}

    public BartStack(Options options, Weights w, Seams seams) {
        this.options = options;
        for (int i = 0; i < options.layers(); i++) {
            blocks.add(block(i, w, seams));
        }
    }

    private Block block(int i, Weights w, Seams seams) {
        Options o = options;
        String path = o.path() + ".layers." + i;
        String tap = o.name() + ".layers." + i;
        MultiHeadAttention self = attention(path + ".self_attn", i,
                o.decoder() ? AttentionSite.Kind.CAUSAL : AttentionSite.Kind.BIDIRECTIONAL, tap + ".attn", w, seams);
        Norm selfNorm = Norm.of(path + ".self_attn_layer_norm", o.hidden(), NORM_EPS, w);
        Optional<MultiHeadAttention> cross = Optional.empty();
        Optional<Norm> crossNorm = Optional.empty();
        if (o.decoder()) {
            cross = Optional.of(attention(path + ".encoder_attn", i, AttentionSite.Kind.CROSS, tap + ".cross", w, seams));
            crossNorm = Optional.of(Norm.of(path + ".encoder_attn_layer_norm", o.hidden(), NORM_EPS, w));
        }
        LinearLayer up = w.linear(path + ".fc1", o.feedForward(), o.hidden(), true);
        LinearLayer down = w.linear(path + ".fc2", o.hidden(), o.feedForward(), true);
        return new Block(self, selfNorm, cross, crossNorm, up, down, Norm.of(path + ".final_layer_norm", o.hidden(), NORM_EPS, w),
                seams.addTap(tap + ".mid", o.hidden()), seams.addTap(tap + ".mlp.act", down, o.feedForward()),
                seams.addTap(tap + ".mlp.out", o.hidden()), seams.addTap(tap, o.hidden()));
    }

    private MultiHeadAttention attention(String path, int layer, AttentionSite.Kind kind, String tap, Weights w, Seams seams) {
        int size = options.hidden() / options.heads();
        AttentionSite site = new AttentionSite(path, layer, options.heads(), options.heads(), size, kind, tap,
                options.dropout().attention());
        sites.add(site);
        var names = new MultiHeadAttention.Projections("q_proj", "k_proj", "v_proj", "out_proj", true, options.keyBias());
        return new MultiHeadAttention(site, names, options.hidden(), 1 / Math.sqrt(size), w, seams);
    }

    /** All attentions in the order of {@link dev.jotune.models.Seq2SeqLm}. */
    public List<AttentionSite> sites() {
        return List.copyOf(sites);
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}.
     *
     * @param added segments of adapters for each of {@link #sites}
     * @param source what a decoder attends to
     */
    public Var forward(Var h, Attention.Visible visible, List<List<Attention.Segment>> added, Optional<Encoded> source,
            Optional<Seq2SeqCache> cache, boolean checkpointing, Pass pass) {
        Var x = Noise.dropout(h, options.dropout().embedding(), pass, options.name() + ".embed");
        int perBlock = options.decoder() ? 2 : 1;
        for (int i = 0; i < blocks.size(); i++) {
            Block block = blocks.get(i);
            List<List<Attention.Segment>> own = added.subList(perBlock * i, perBlock * (i + 1));
            x = Checkpoint.when(checkpointing, v -> forward(block, v, visible, own, source, cache, pass), x);
        }
        return x;
    }

    private Var forward(Block b, Var h, Attention.Visible visible, List<List<Attention.Segment>> added, Optional<Encoded> source,
            Optional<Seq2SeqCache> cache, Pass pass) {
        Var x = residual(h, b.selfNorm, b.out + ".attn", pass, y -> b.self.self(y, added.getFirst(), visible, cache.map(Seq2SeqCache::target), pass));
        if (b.cross.isPresent()) {
            x = residual(x, b.crossNorm.get(), b.out + ".cross", pass,
                    y -> b.cross.get().cross(y, added.getLast(), source.orElseThrow(), cache, pass));
        }
        return pass.tap(b.out, residual(pass.tap(b.mid, x), b.norm, b.mlpOut, pass, y -> {
            Var middle = pass.tap(b.act, Activations.byName(options.activation(), b.up.forward(y, pass)));
            return pass.tap(b.mlpOut, b.down.forward(Noise.dropout(middle, options.dropout().inner(), pass, b.act), pass), y);
        }));
    }

    private Var residual(Var h, Norm norm, String use, Pass pass, UnaryOperator<Var> f) {
        Var added = Noise.dropout(f.apply(options.normFirst() ? norm.forward(h, pass) : h), options.dropout().residual(), pass, use);
        return options.normFirst() ? h.add(added) : norm.forward(h.add(added), pass);
    }
}
