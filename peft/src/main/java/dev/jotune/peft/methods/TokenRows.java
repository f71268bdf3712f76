package dev.jotune.peft.methods;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.models.seam.Seams;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * A few rows of a table of embeddings trained in place of its own, PEFT's {@code trainable_token_indices}. A tied head reads
 * them too.
 *
 * @param rows {@code [k, C]}
 * @param marks {@code [N, 1]}: one more than the number of the row that stands for a token; 0 where the table's own does
 * @param chosen {@code [k, N]}: 1 at each row's token
 * @param head whether W is {@code [N, C]}, a head's, and not {@code [C, N]}, a table's
 */
record TokenRows(Var rows, Var marks, Var chosen, boolean head) implements RowProjection {

    /**
     * Trains what PEFT's field names, beside another method.
     *
     * @param tokens a list of tokens of the input's table, or lists by how tables' paths end; null for none
     */
    static void of(Attachment a, JsonNode tokens) {
        Map<LinearLayer, JsonNode> named = new LinkedHashMap<>();
        if (tokens.isArray()) {
            named.put(layer(a, l -> a.model().seams().input().table().filter(t -> t == l.weight()).isPresent(), "of the input"), tokens);
        } else {
            tokens.properties().forEach(e -> named.put(layer(a, l -> l.path().endsWith(e.getKey()) || module(l).endsWith(e.getKey()), e.getKey()),
                    e.getValue()));
        }
        named.forEach((layer, list) -> {
            if (!list.isArray() || !list.valueStream().allMatch(JsonNode::isInt)) {
                throw new AdapterException("trainable_token_indices holds " + list + ", expected a list of token ids.");
            }
            // A tied head goes with its table, unless other tokens are named for it.
            boolean tied = a.isTable(layer);
            if (!tied && named.entrySet().stream().anyMatch(e -> e.getKey() != layer && e.getKey().weight() == layer.weight()
                    && e.getValue().equals(list))) {
                return;
            }
            List<LinearLayer> readers = !tied ? List.of(layer) : a.model().seams().readers(layer.weight()).stream()
                    .filter(l -> named.getOrDefault(l, list).equals(list)).toList();
            of(a, layer.weight(), readers, list.valueStream().map(JsonNode::asInt).toList(),
                    Attachment.key(tied ? module(layer) : layer.path()) + ".token_adapter.trainable_tokens_delta");
        });
    }

    /** The module that holds a layer's weight. */
    private static String module(LinearLayer l) {
        return l.weight().path().substring(0, l.weight().path().lastIndexOf('.'));
    }

    private static LinearLayer layer(Attachment a, Predicate<LinearLayer> which, String name) {
        Seams seams = a.model().seams();
        return Stream.concat(seams.tables().values().stream(), seams.projections().values().stream().filter(l -> l.path().equals(name)))
                .filter(which).findFirst().orElseThrow(() -> new AdapterException("trainable_token_indices: the model has no table of "
                        + "embeddings '" + name + "' whose rows could be trained, nor a head. It has: " + seams.tables().keySet() + "."));
    }

    /** Trains the rows of {@code ids} of a table or a head as all of {@code readers} see it. */
    private static void of(Attachment a, Parameter p, List<LinearLayer> readers, List<Integer> ids, String key) {
        int n = Math.toIntExact(p.size(0));
        if (ids.isEmpty() || ids.stream().distinct().count() != ids.size()) {
            throw new AdapterException("trainable_token_indices " + ids + " of " + p.path() + " must be some tokens, each once.");
        }
        double[] marks = new double[n];
        double[] chosen = new double[ids.size() * n];
        for (int i = 0; i < ids.size(); i++) {
            int id = ids.get(i);
            if (id < 0 || id >= n) {
                throw new AdapterException("trainable_token_indices: token " + id + " is no row of " + p.path() + ", which has " + n
                        + ". Name tokens from 0 to " + (n - 1) + ".");
            }
            marks[id] = i + 1;
            chosen[i * n + id] = 1;
        }
        long[] tokens = ids.stream().mapToLong(i -> i).toArray();
        DType type = a.model().computeType();
        Var rows = a.trainable(key, Init.of(() -> p.stored().lookup(Tensor.of(p.backend(), tokens, tokens.length), type).tensor()),
                tokens.length, p.size(1));
        Var column = Var.constant(Tensor.of(p.backend(), type, marks, n, 1));
        Var places = Var.constant(Tensor.of(p.backend(), type, chosen, tokens.length, n));
        readers.forEach(layer -> a.project(layer, new TokenRows(rows, column, places, !a.isTable(layer))));
    }

    /** 0 at the tokens with rows of their own, 1 elsewhere, {@code [N]}. */
    private Var kept() {
        return chosen.sum(0).mul(-1).add(chosen.scalarLike(1));
    }

    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        Tensor found = lookup.apply(marks).tensor().contiguous();
        double[] numbers = found.toDoubleArray();
        Tensor ids = Tensor.of(found.backend(), Arrays.stream(numbers).mapToLong(v -> (long) v).toArray(),
                Arrays.copyOf(found.shape(), found.rank() - 1));
        Var own = Var.constant(Tensor.of(found.backend(), found.dtype(), Arrays.stream(numbers).map(v -> v == 0 ? 1 : 0).toArray(),
                found.shape()));
        return below.mul(own).add(Embedding.lookup(rows.pad(0, 1, 0), ids));
    }

    /** {@code y_i = r_i x + b_i} at the tokens with rows of their own. */
    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        Var scores = Linear.apply(Linear.apply(x, rows), chosen.transpose(0, 1));
        Var y = inner.apply(x).mul(kept()).add(scores);
        return layer.bias().isEmpty() ? y : y.add(layer.bias().get().value(pass.groups().getFirst()).mul(chosen.sum(0)));
    }

    /** {@code W'}: the rows in place of W's. */
    @Override
    public Var weight(Var w) {
        Var placed = rows.transpose(0, 1).matmul(chosen);
        return head ? w.mul(kept().reshape(-1, 1)).add(placed.transpose(0, 1)) : w.mul(kept()).add(placed);
    }
}
