package dev.jotune.cuda;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.DecodeKernel.Layer;
import dev.jotune.tensor.kernels.DecodeKernel.Linear;
import dev.jotune.tensor.kernels.DecodeKernel.LowRank;
import dev.jotune.tensor.kernels.DecodeKernel.Model;
import dev.jotune.tensor.kernels.DecodeKernel.Prefix;
import dev.jotune.tensor.kernels.DecodeKernel.Steps;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Steps of some texts. The first step after the cache has moved is computed kernel by kernel, which compiles what is missing and serves who
 * moves it at every step, as beams do; the next is recorded, and from then on a step is three small writes, one launch, and the logits'
 * way back. Rows of a quantised embedding are widened before, a launch each.
 */
final class DecodeSteps implements Steps {
    private static final Program GATED = Program.of(Formulas.SWIGLU);
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));
    /** Keys that a run has at least, so that its group is worth starting; and runs that merging is still cheap for. */
    private static final long RUN = 64;
    private static final long MOST_RUNS = 64;

    private final CudaBackend device;
    private final Model model;
    private final int rows;
    private final NormKernel norms;
    private final List<Tensor> held = new ArrayList<>();
    private final List<Block> blocks = new ArrayList<>();
    private final Tensor norm;
    private final Optional<Tensor> headBias;
    private final Tensor state;
    private final Tensor cos;
    private final Tensor sin;
    private final Tensor x;
    private final Tensor normed;
    private final Tensor logits;
    private final long[] written;
    private final float[] read;
    private final Map<Double, Program> factors = new HashMap<>();
    private final Tensor[] boundKeys;
    private final Tensor[] boundValues;
    private boolean warm;
    private Optional<CudaGraph> graph = Optional.empty();
    private boolean closed;

    /** A layer and its vectors as dense F32. */
    private record Block(Layer layer, Tensor attentionNorm, Optional<Tensor> queryNorm, Optional<Tensor> keyNorm, Tensor mlpNorm,
            List<Optional<Tensor>> biases) {}

    DecodeSteps(CudaBackend device, Model m, int rows) {
        this.device = device;
        this.model = m;
        this.rows = rows;
        this.norms = device.kernel(NormKernel.class).orElseThrow();
        for (Layer l : m.layers()) {
            List<Optional<Tensor>> biases = l.maps().stream().map(p -> p.bias().map(this::vector)).toList();
            blocks.add(new Block(l, vector(l.attentionNorm()), l.queryNorm().map(this::vector), l.keyNorm().map(this::vector), vector(l.mlpNorm()),
                    biases));
        }
        norm = vector(m.norm());
        headBias = m.head().bias().map(this::vector);
        long hidden = norm.numel();
        state = own(DType.I64, rows, DecodeTexts.STATE);
        cos = own(DType.F32, rows, Math.max(1, m.rotary() / 2));
        sin = own(DType.F32, rows, Math.max(1, m.rotary() / 2));
        x = own(DType.F32, rows, hidden);
        normed = own(DType.F32, rows, hidden);
        logits = own(DType.F32, rows, outputs(m.head()));
        written = new long[rows * DecodeTexts.STATE];
        read = new float[Math.toIntExact(logits.numel())];
        boundKeys = new Tensor[m.layers().size()];
        boundValues = new Tensor[m.layers().size()];
    }

    private Tensor own(DType type, long... shape) {
        Tensor t = Scope.detach(Tensor.empty(device, type, shape));
        held.add(t);
        return t;
    }

    /** As it lies where it lies right, else a copy. */
    private Tensor vector(Tensor t) {
        Tensor dense = t.to(DType.F32).contiguous();
        if (dense.storage() != t.storage()) {
            held.add(Scope.detach(dense));
        }
        return dense;
    }

    private static long outputs(Linear l) {
        return l.weight().dense().map(t -> t.size(0)).orElseGet(() -> l.weight().quantized().get().rows());
    }

    @Override
    public void step(int[] tokens, int length, int[] padding, float[] cosines, float[] sines, Tensor[] keys, Tensor[] values,
            float[][] result) {
        check(tokens, length, padding, keys, result);
        if (keys[0] != boundKeys[0] || values[0] != boundValues[0]) {
            bind(keys, values);
        }
        for (int b = 0; b < rows; b++) {
            int at = b * DecodeTexts.STATE;
            written[at] = tokens[b];
            written[at + 1] = length;
            written[at + 2] = padding[2 * b];
            written[at + 3] = padding[2 * b + 1];
        }
        device.write(state, MemorySegment.ofArray(written));
        if (model.rotary() > 0) {
            long bytes = (long) rows * model.rotary() / 2 * Float.BYTES;
            device.write(cos, MemorySegment.ofArray(cosines).asSlice(0, bytes));
            device.write(sin, MemorySegment.ofArray(sines).asSlice(0, bytes));
        }
        model.embedding().quantized().ifPresent(table -> {
            DequantizeKernel widen = device.kernel(DequantizeKernel.class).orElseThrow();
            for (int b = 0; b < rows; b++) {
                widen.dequantize(table, tokens[b], x.slice(0, b, b + 1));
            }
        });
        if (!warm) {
            compute();
            warm = true;
        } else {
            if (graph.isEmpty()) {
                graph = Optional.of(device.record(this::compute));
            }
            graph.get().replay();
        }
        device.read(logits, MemorySegment.ofArray(read));
        int vocabulary = read.length / rows;
        for (int b = 0; b < rows; b++) {
            System.arraycopy(read, b * vocabulary, result[b], 0, vocabulary);
        }
    }

    private void check(int[] tokens, int length, int[] padding, Tensor[] keys, float[][] result) {
        if (closed) {
            throw new IllegalStateException("these steps are closed. Prepare others.");
        }
        if (tokens.length != rows || result.length != rows || padding.length < 2 * rows || keys[0].size(0) != rows) {
            throw new IllegalArgumentException("steps of " + rows + " texts were given " + tokens.length + " tokens, room for the logits of "
                    + result.length + " and a cache of " + keys[0].size(0) + ". Prepare steps of as many texts as there are.");
        }
        for (int b = 0; b < rows; b++) {
            if (tokens[b] < 0 || tokens[b] >= logits.size(1) || result[b].length != logits.size(1)) {
                throw new IllegalArgumentException("token " + tokens[b] + " and room for " + result[b].length
                        + " logits do not fit a vocabulary of " + logits.size(1) + ". Prepare steps of the model that is meant.");
            }
        }
        if (length >= keys[0].size(2)) {
            throw new IllegalArgumentException("the cache has room for " + keys[0].size(2) + " tokens and holds " + length
                    + ". Make room before the step.");
        }
    }

    private void bind(Tensor[] keys, Tensor[] values) {
        for (Tensor[] all : new Tensor[][] {keys, values}) {
            for (Tensor t : all) {
                boolean number = t.dtype() == DType.F32 || t.dtype() == DType.BF16 || t.dtype() == DType.F16;
                if (!number || t.dtype() != keys[0].dtype() || t.stride(3) != 1) {
                    throw new IllegalArgumentException("the cache's " + t + " is not of dense rows of F32, BF16 or F16, the same for all. Make "
                            + "such a cache.");
                }
            }
        }
        graph.ifPresent(CudaGraph::close);
        graph = Optional.empty();
        warm = false;
        System.arraycopy(keys, 0, boundKeys, 0, keys.length);
        System.arraycopy(values, 0, boundValues, 0, values.length);
    }

    /** All kernels of a step, in order. */
    private void compute() {
        try (Scope _ = Scope.open()) {
            if (model.embedding().dense().isPresent()) {
                Tensor table = model.embedding().dense().get();
                device.launch(DecodeTexts.embed(table.dtype()), 1, rows, 1, table, state, x, x.size(1), model.embeddingScale());
            } else if (model.embeddingScale() != 1) {
                device.map(times(model.embeddingScale()), new Tensor[] {x}, new Tensor[] {x});
            }
            norms.rmsNorm(x, blocks.getFirst().attentionNorm, model.eps(), normed);
            for (int i = 0; i < blocks.size(); i++) {
                Block b = blocks.get(i);
                Tensor mixed = product(attention(b, i), b.layer.output(), b.biases.get(3));
                norms.addRmsNorm(x, mixed, b.mlpNorm, model.eps(), x, normed);
                Tensor gate = product(normed, b.layer.gate(), b.biases.get(4));
                Tensor up = product(normed, b.layer.up(), b.biases.get(5));
                device.map(GATED, new Tensor[] {gate, up}, new Tensor[] {gate});
                Tensor down = product(gate, b.layer.down(), b.biases.get(6));
                Tensor next = i + 1 < blocks.size() ? blocks.get(i + 1).attentionNorm : norm;
                norms.addRmsNorm(x, down, next, model.eps(), x, normed);
            }
            product(normed, model.head(), headBias, logits);
        }
    }

    private Program times(double factor) {
        return factors.computeIfAbsent(factor, f -> Program.of(Expr.input(0).times(f)));
    }

    private Tensor attention(Block b, int layer) {
        int size = model.headDim();
        Tensor keys = boundKeys[layer];
        Tensor values = boundValues[layer];
        Tensor q = product(normed, b.layer.query(), b.biases.get(0));
        Tensor k = product(normed, b.layer.key(), b.biases.get(1));
        Tensor v = product(normed, b.layer.value(), b.biases.get(2));
        boolean normedHeads = b.queryNorm.isPresent();
        device.launch(DecodeTexts.rotate(model.heads(), model.groups(), size, model.rotary() / 2, normedHeads, keys.dtype()),
                model.heads() + 2L * model.groups(), rows, 1, q, k, v, b.queryNorm.orElse(q), b.keyNorm.orElse(q), state, cos, sin, keys, values,
                keys.stride(0), keys.stride(1), keys.stride(2), model.eps());
        long[] runs = new long[1 + b.layer.prefixes().size()];
        runs[0] = runs(keys.size(2));
        for (int i = 1; i < runs.length; i++) {
            runs[i] = runs(b.layer.prefixes().get(i - 1).keys().size(2));
        }
        long all = Arrays.stream(runs).sum();
        Tensor parts = Tensor.empty(device, DType.F32, rows, model.heads(), all, size + 2L);
        attend(q, keys, values, parts, runs[0], 0, b.layer.window(), 0);
        long first = runs[0];
        for (int i = 1; i < runs.length; i++) {
            Prefix p = b.layer.prefixes().get(i - 1);
            attend(q, p.keys(), p.values(), parts, runs[i], first, 0, p.keys().size(2));
            first += runs[i];
        }
        device.launch(DecodeTexts.merge(size), (long) rows * model.heads(), 1, 1, parts, q, all);
        return q;
    }

    private long runs(long keys) {
        return Math.clamp(2L * device.info().units() / ((long) model.groups() * rows), 1, Math.min(MOST_RUNS, (keys + RUN - 1) / RUN));
    }

    private void attend(Tensor q, Tensor keys, Tensor values, Tensor parts, long runs, long first, long window, long fixed) {
        boolean shared = keys.size(0) == 1;
        device.launch(DecodeTexts.attention(model.heads() / model.groups(), model.headDim(), keys.dtype()), runs, model.groups(), rows, q, keys,
                values, state, parts, shared ? 0 : keys.stride(0), keys.stride(1), keys.stride(2), (long) model.heads(), parts.size(2), first,
                model.attentionScale(), window, fixed);
    }

    private Tensor product(Tensor in, Linear l, Optional<Tensor> bias) {
        return product(in, l, bias, Tensor.empty(device, DType.F32, rows, outputs(l)));
    }

    private Tensor product(Tensor in, Linear l, Optional<Tensor> bias, Tensor out) {
        if (l.weight().dense().isPresent()) {
            device.matmul(in, l.weight().dense().get().transpose(0, 1), out, false);
        } else {
            device.kernel(QuantizedProductKernel.class).orElseThrow().product(in, l.weight().quantized().orElseThrow(), out);
        }
        bias.ifPresent(t -> device.map(SUM, new Tensor[] {out, t}, new Tensor[] {out}));
        for (LowRank term : l.terms()) {
            Tensor thin = Tensor.empty(device, DType.F32, rows, term.down().size(0));
            device.matmul(in, term.down().transpose(0, 1), thin, false);
            device.map(times(term.scale()), new Tensor[] {thin}, new Tensor[] {thin});
            device.matmul(thin, term.up().transpose(0, 1), out, true);
        }
        return out;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            graph.ifPresent(CudaGraph::close);
            held.forEach(t -> t.storage().free());
        }
    }
}
