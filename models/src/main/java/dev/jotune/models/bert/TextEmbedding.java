package dev.jotune.models.bert;

import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Table;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The input of an encoder: {@code norm(word + position + token type)}.
 *
 * <p>Virtual tokens stand where words do: they get positions and token type 0. The tables' padding rows get no
 * gradient, as in PyTorch.
 */
public final class TextEmbedding {
    /**
     * @param path of the module in the checkpoint
     * @param width features of the tables
     * @param hidden C, to which a wider or narrower table is projected
     * @param vocabulary rows of the table of words
     * @param positions rows of the table of positions; 0: there is none
     * @param types rows of the table of token types; 0: there is none
     * @param pad the token whose embedding gets no gradient
     * @param positionsSkipPadding RoBERTa's way of counting, see {@link BertConfig}
     * @param zeroPadding DeBERTa: the embeddings of padding are zero
     * @param contextLength the most tokens
     */
    public record Options(String path, int width, int hidden, int vocabulary, int positions, int types, int pad,
            boolean positionsSkipPadding, boolean zeroPadding, int contextLength, double eps, double dropout) {}

    private final Options options;
    private final DType computeType;
    private final EmbeddingSite site;
    private final Table words;
    private final Optional<Table> positions;
    private final Optional<Table> types;
    private final Optional<LinearLayer> projection;
    private final Norm norm;

    public TextEmbedding(Options o, Weights w, Seams seams, DType computeType) {
        this.options = o;
        this.computeType = computeType;
        String at = o.path() + ".";
        words = new Table(w.parameter(at + "word_embeddings.weight", o.vocabulary(), o.width()), OptionalInt.of(o.pad()), 1, computeType).in(seams);
        positions = table(at + "position_embeddings.weight", o.positions(),
                o.positionsSkipPadding() ? OptionalInt.of(o.pad()) : OptionalInt.empty(), w, seams);
        types = table(at + "token_type_embeddings.weight", o.types(), OptionalInt.empty(), w, seams);
        projection = o.width() == o.hidden() ? Optional.empty() : Optional.of(w.linear(at + "embed_proj", o.hidden(), o.width(), false));
        norm = Norm.of(at + "LayerNorm", o.hidden(), o.eps(), w);
        site = seams.add(new EmbeddingSite("embed", o.width(), Optional.of(words.weight())));
        seams.addTap("embed", o.hidden());
    }

    private Optional<Table> table(String path, int rows, OptionalInt padding, Weights w, Seams seams) {
        return rows == 0 ? Optional.empty()
                : Optional.of(new Table(w.parameter(path, rows, options.width()), padding, 1, computeType).in(seams));
    }

    /** Where everything lies in this pass. */
    public TokenLayout layout(EncoderInput in, Pass pass) {
        DecoderInput same = new DecoderInput(in.ids(), in.embeds(), in.mask(), in.positions());
        return TokenLayout.of(same, pass, Optional.empty(), options.contextLength(), site, false);
    }

    /** {@code [B, n + T, C]}. */
    public Var forward(EncoderInput in, TokenLayout layout, Pass pass) {
        Var text = in.embeds().orElseGet(() -> words.rows(in.ids().orElseThrow(), pass));
        Var h = layout.withVirtualTokens(text, pass);
        if (positions.isPresent()) {
            h = h.add(positions.get().rows(positions(in, layout, pass), pass));
        }
        if (types.isPresent()) {
            h = h.add(types.get().rows(tokenTypes(in, layout), pass));
        }
        if (projection.isPresent()) {
            h = projection.get().forward(h, pass);
        }
        h = norm.forward(h, pass);
        if (options.zeroPadding() && layout.real() != null) {
            h = h.mul(mask(layout));
        }
        return pass.tap("embed", Noise.dropout(h, options.dropout(), pass, "embed"));
    }

    /** 1 at tokens and 0 at padding, {@code [B, n + T, 1]}. */
    public Var mask(TokenLayout layout) {
        boolean[][] real = layout.real();
        int time = (int) layout.time();
        double[] m = new double[real.length * time];
        for (int i = 0; i < m.length; i++) {
            m[i] = real[i / time][i % time] ? 1 : 0;
        }
        return Var.constant(Tensor.of(words.weight().backend(), computeType, m, real.length, time, 1));
    }

    private Tensor tokenTypes(EncoderInput in, TokenLayout layout) {
        int batch = Math.toIntExact(in.batch());
        int time = (int) layout.time();
        int virtual = (int) layout.virtualTokens();
        long[] out = new long[batch * time];
        if (in.tokenTypes().isPresent()) {
            long[] given = in.tokenTypes().get().toLongArray();
            int text = time - virtual;
            if (given.length != batch * text) {
                throw new IllegalArgumentException("token types " + in.tokenTypes().get() + " do not cover [" + batch + ", " + text + "]");
            }
            for (int i = 0; i < given.length; i++) {
                out[i / text * time + virtual + i % text] = given[i];
            }
        }
        return Tensor.of(words.weight().backend(), out, batch, time);
    }

    private Tensor positions(EncoderInput in, TokenLayout layout, Pass pass) {
        int batch = Math.toIntExact(in.batch());
        int time = (int) layout.time();
        long[] out = new long[batch * time];
        for (int b = 0; b < batch; b++) {
            System.arraycopy(layout.positions()[b], 0, out, b * time, time);
        }
        if (options.positionsSkipPadding()) {
            for (Group g : pass.groups()) {
                for (int b = 0; b < batch; b++) {
                    if (g.rows().isEmpty() || g.rows().contains(b)) {
                        afterPadding(in, layout, g, b, out);
                    }
                }
            }
        }
        return Tensor.of(words.weight().backend(), out, batch, time);
    }

    /**
     * RoBERTa's positions of one row: behind the padding token's own row of the table, counting tokens other than
     * padding. Where embeddings are given, as prompt tuning gives them, nobody knows what is padding, and all count.
     */
    private void afterPadding(EncoderInput in, TokenLayout layout, Group g, int b, long[] out) {
        int time = (int) layout.time();
        int virtual = (int) layout.virtualTokens();
        boolean byIds = in.ids().isPresent() && g.virtualTokens(site.name()) == 0;
        long[] ids = byIds ? in.ids().get().slice(0, b, b + 1).contiguous().toLongArray() : null;
        long next = options.pad() + 1 + g.segmentPositions();
        for (int t = 0; t < time; t++) {
            int i = b * time + t;
            if (t >= virtual && in.positions().isPresent()) {
                continue;
            }
            if (byIds && t >= virtual) {
                out[i] = ids[t - virtual] == options.pad() ? options.pad() : next++;
            } else {
                out[i] += options.pad() + 1;
            }
        }
    }
}
