package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.DecodeLayer;
import dev.jotune.tensor.cpu.simd.DecodeShape;
import dev.jotune.tensor.cpu.simd.DecodeSteps;
import dev.jotune.tensor.cpu.simd.EmbeddingRow;
import dev.jotune.tensor.cpu.simd.RowProduct;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Hands a decoder to the CPU's decode steps. */
final class VectorDecode implements DecodeKernel {
    private final Extensions extensions;

    VectorDecode(Extensions extensions) {
        this.extensions = extensions;
    }

    @Override
    public Optional<String> obstacle(Use use) {
        if (use.rows() != 1 || use.padded()) {
            return Optional.of("the CPU's steps read one text, without padding");
        }
        return use.lowRank() || use.prefixed() ? Optional.of("the CPU's steps read stored weights alone, without low-rank terms and prefixes")
                : Optional.empty();
    }

    @Override
    public Optional<String> obstacle(Model m) {
        boolean read = m.layers().stream().allMatch(l -> l.maps().stream().allMatch(VectorDecode::reads)) && reads(m.head())
                && reads(new Linear(m.embedding(), Optional.empty()));
        return read ? Optional.empty() : Optional.of("a weight's type is none that the CPU's steps read");
    }

    private static boolean reads(Linear l) {
        return l.weight().quantized().isPresent() || RowProduct.of(l.weight().dense().get()).isPresent();
    }

    @Override
    public Steps prepare(Model model, int rows) {
        if (rows != 1) {
            throw new IllegalArgumentException("steps of " + rows + " texts were asked for. The CPU's read one: ask obstacle first.");
        }
        return new Prepared(model, extensions);
    }

    /** A decoder's steps, and everything that they read by address. */
    private static final class Prepared implements Steps {
        private final Model model;
        private final Extensions extensions;
        /** Narrow or strided vectors, as dense F32; and those that lie right already. */
        private final List<Tensor> held = new ArrayList<>();
        private final EmbeddingRow embedding;
        private final DecodeSteps steps;
        private final int rows;
        private final int inner;
        private final Tensor[] boundKeys;
        private final Tensor[] boundValues;
        private boolean closed;

        Prepared(Model m, Extensions extensions) {
            model = m;
            this.extensions = extensions;
            boundKeys = new Tensor[m.layers().size()];
            boundValues = new Tensor[m.layers().size()];
            Layer first = m.layers().getFirst();
            RowProduct head = product(m.head());
            rows = Math.toIntExact(head.rows());
            inner = Math.toIntExact(product(first.gate()).rows());
            int hidden = head.columns();
            embedding = m.embedding().dense().map(t -> EmbeddingRow.of(t, (float) m.embeddingScale()))
                    .orElseGet(() -> EmbeddingRow.of(m.embedding().quantized().get(), (float) m.embeddingScale()));
            DecodeShape shape = new DecodeShape(hidden, m.heads(), m.groups(), m.headDim(), inner, rows, m.rotary(), m.eps(),
                    (float) m.attentionScale());
            steps = new DecodeSteps(shape, m.layers().stream().map(this::layer).toList(), vector(m.norm()), head, bias(m.head()));
        }

        private DecodeLayer layer(Layer l) {
            return new DecodeLayer(vector(l.attentionNorm()), product(l.query()), bias(l.query()), product(l.key()), bias(l.key()),
                    product(l.value()), bias(l.value()), vector(l.queryNorm()), vector(l.keyNorm()), product(l.output()), bias(l.output()),
                    vector(l.mlpNorm()), product(l.gate()), bias(l.gate()), product(l.up()), bias(l.up()), product(l.down()),
                    bias(l.down()), l.window());
        }

        private RowProduct product(Linear l) {
            return l.weight().quantized().map(extensions::rows).orElseGet(() -> RowProduct.of(l.weight().dense().get()).get());
        }

        private long bias(Linear l) {
            return vector(l.bias());
        }

        private long vector(Optional<Tensor> t) {
            return t.map(this::vector).orElse(0L);
        }

        private long vector(Tensor t) {
            Tensor dense = t.to(DType.F32).contiguous();
            held.add(dense.storage() == t.storage() ? dense : Scope.detach(dense));
            return dense.address();
        }

        @Override
        public void step(int[] tokens, int length, int[] padding, float[] cos, float[] sin, Tensor[] keys, Tensor[] values,
                float[][] all) {
            int token = tokens[0];
            float[] logits = all[0];
            if (closed || token < 0 || token >= rows || logits.length != rows) {
                throw new IllegalArgumentException("token " + token + " and room for " + logits.length + " logits do not fit a vocabulary of "
                        + rows + (closed ? "; these steps are closed" : "") + ". Prepare steps of the model that is meant.");
            }
            if (keys[0] != boundKeys[0] || values[0] != boundValues[0]) {
                bind(keys, values);
            }
            if (length >= keys[0].size(2)) {
                throw new IllegalArgumentException("the cache has room for " + keys[0].size(2) + " tokens and holds " + length
                        + ". Make room before the step.");
            }
            embedding.widen(token, steps.input());
            steps.step(length, cos, sin, logits);
            Reference.reachabilityFence(this);
        }

        private void bind(Tensor[] keys, Tensor[] values) {
            long[] k = new long[keys.length];
            long[] v = new long[keys.length];
            for (int i = 0; i < keys.length; i++) {
                if (keys[i].dtype() != DType.F32 || values[i].dtype() != DType.F32) {
                    throw new IllegalArgumentException("the cache's " + keys[i] + " is not in F32, which the CPU's steps read. Make one in F32.");
                }
                k[i] = keys[i].address();
                v[i] = values[i].address();
            }
            steps.bind(k, v, Float.BYTES * keys[0].stride(1), Float.BYTES * keys[0].stride(2), Math.toIntExact(keys[0].size(2)));
            System.arraycopy(keys, 0, boundKeys, 0, keys.length);
            System.arraycopy(values, 0, boundValues, 0, values.length);
        }

        @Override
        public void close() {
            if (!closed) {
                closed = true;
                steps.close();
                held.clear();
            }
        }

        @Override
        public String toString() {
            return "steps of " + model.layers().size() + " blocks";
        }
    }
}
