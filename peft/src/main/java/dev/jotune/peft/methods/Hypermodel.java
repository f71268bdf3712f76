package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.HookSource;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The model of {@link HyperTuning} that reads examples and writes an adapter: h, its vectors and its heads.
 *
 * @param model whose architecture, and unless it trains whose weights, h has
 * @param body h's own weights by path
 * @param slots s, {@code [n, C]}
 * @param examples what it reads unless it is told
 * @param parts what is made of its states
 */
public record Hypermodel(Backbone model, Map<String, Var> body, Var slots, long[] examples, Parts parts) implements HookSource {
    /** What the states {@code [B, n, C]} at the vectors become. */
    sealed interface Parts {
        Hooks hooks(String name, Var states);
    }

    /** {@code W2 tanh(W1 v + b1) + b2}. */
    record Head(Var w1, Var b1, Var w2, Var b2) {
        Var apply(Var v) {
            return Linear.apply(Activations.tanh(Linear.apply(v, w1, b1)), w2, b2);
        }
    }

    @Override
    public Hooks hooks(String name) {
        return reading(name, Tensor.of(model.backend(), examples, 1, examples.length), Optional.empty());
    }

    /**
     * An adapter for each row of a batch, written from examples of its own: to be run in a {@link Pass} over that batch.
     *
     * @param ids {@code [B, K]}; {@code B = 1}: one for all rows
     * @param mask {@code [B, K]}, 0 at padding, which stands at the right
     */
    public Hooks reading(String name, Tensor ids, Optional<Tensor> mask) {
        return parts.hooks(name, states(ids, mask));
    }

    private Var states(Tensor ids, Optional<Tensor> mask) {
        Pass own = Pass.inference(List.of(new Hooks("hypermodel", Map.of(), body, Optional.empty(), Map.of(), Map.of())));
        long batch = ids.size(0);
        long n = slots.size(0);
        Var asked = slots.reshape(1, n, slots.size(1)).expandTo(batch, n, slots.size(1));
        if (model instanceof Seq2SeqLm h) {
            EncoderInput source = mask.map(m -> EncoderInput.of(ids, m)).orElseGet(() -> EncoderInput.of(ids));
            return h.decode(DecoderInput.of(asked), h.encode(source, own), own, Optional.empty()).states();
        }
        Parameter table = model.seams().input().table().orElseThrow();
        Var read = table.stored(own.groups().getFirst()).lookup(ids, model.computeType());
        DecoderInput all = DecoderInput.of(Var.concat(1, read, asked));
        Tensor ones = Tensor.full(model.backend(), model.computeType(), 1, batch, n);
        DecoderInput input = mask.map(m -> all.withMask(Var.concat(1, Var.constant(m.to(model.computeType())), Var.constant(ones)).tensor()))
                .orElse(all);
        Var out = model.as(CausalLm.class).forward(input, own, Optional.empty()).states();
        return out.slice(1, out.size(1) - n, out.size(1));
    }

    /** Keys and values of every attention of a text on itself: a head each, absent for the others. */
    record Prefixes(long n, List<Optional<Head>> heads) implements Parts {
        @Override
        public Hooks hooks(String name, Var states) {
            List<Optional<Var>> tables = heads.stream().map(h -> h.map(head -> head.apply(states))).toList();
            return new Hooks(name, Map.of(), Map.of(), Optional.of(new Written(n, tables)), Map.of(), Map.of());
        }
    }

    /** Tables {@code [B, n, 2 G D]}, keys before values, by attention. */
    private record Written(long positions, List<Optional<Var>> tables) implements SegmentSource {
        @Override
        public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
            List<List<Attention.Segment>> out = new ArrayList<>();
            for (int i = 0; i < sites.size(); i++) {
                AttentionSite s = sites.get(i);
                out.add(tables.get(i).map(t -> List.of(new Attention.Segment(part(t, 0, s), part(t, 1, s), Attention.Visible.ALL)))
                        .orElse(List.of()));
            }
            return out;
        }

        private static Var part(Var table, int which, AttentionSite s) {
            long width = (long) s.groups() * s.headDim();
            return table.slice(2, which * width, (which + 1) * width).reshape(table.size(0), table.size(1), s.groups(), s.headDim())
                    .transpose(1, 2);
        }
    }

    /** The heads of a layer's A and B. */
    record Pair(Head down, Head up) {}

    /** Factors of a low-rank term of each layer. */
    record Factors(double scale, Map<LinearLayer, Pair> pairs) implements Parts {
        @Override
        public Hooks hooks(String name, Var states) {
            Map<String, Projection> out = new LinkedHashMap<>();
            pairs.forEach((layer, pair) -> out.put(layer.path(), new LowRank(pair.down().apply(states), pair.up().apply(states), scale)));
            return new Hooks(name, out, Map.of(), Optional.empty(), Map.of(), Map.of());
        }
    }

    /** {@code A [B, r, in]} and {@code B^T [B, r, out]}, for each row of the batch or one for all. */
    private record LowRank(Var down, Var up, double scale) implements Projection {
        /** {@code y_b = W x_b + s B_b A_b x_b}. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var y = inner.apply(x);
            // One for all serves rows of any shape.
            Var rows = x.reshape(down.size(0) == 1 ? 1 : x.size(0), -1, layer.in());
            return y.addScaled(rows.matmul(down.transpose(1, 2)).matmul(up).reshape(y.shape()), scale);
        }

        /** {@code W' = W + s B A}. */
        @Override
        public Var weight(Var w) {
            if (down.size(0) != 1) {
                throw new AdapterException("the rows of a batch have " + down.size(0) + " weights of their own, and a model has one. "
                        + "Merge what was written from one row of examples.");
            }
            return w.addScaled(up.transpose(1, 2).matmul(down).reshape(w.shape()), scale);
        }
    }
}
