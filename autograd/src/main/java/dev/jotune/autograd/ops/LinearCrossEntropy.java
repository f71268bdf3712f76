package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.autograd.ops.CrossEntropy.Reduction;
import dev.jotune.autograd.ops.CrossEntropy.Targets;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.kernels.VocabularyKernel;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.Arrays;

/**
 * The vocabulary product and the cross-entropy of its logits in one, which never stores the logits of the whole
 * batch: {@code crossEntropy(hidden weight^T, labels)}.
 *
 * <p>Rows go in chunks. While a chunk's logits exist, one program makes its losses and the gradient by its logits, and
 * products turn that into the gradients by hidden and weight at unit upstream; the backward pass only scales them.
 * Rows whose label is ignored cost nothing. (The idea of chunking as in Wijmans et al., arXiv 2411.09009, and Hsu et
 * al., arXiv 2410.10989.)
 *
 * <p>Where no gradient is wanted and the backend has a {@link VocabularyKernel}, not even a chunk is stored. With gradients a chunk is
 * the cheaper way: its logits are written once, read three times while they become the gradient in the same place, and that is read by
 * one product or two, 24 to 28 bytes a logit. A kernel that stores nothing would have to make every logit a second time, once its row's
 * sum is known: 2 C operations, at C = 1024 some 80 for each byte saved, the more the wider the model; and a chunk that fits a
 * cache asks memory for few of these bytes.
 */
public final class LinearCrossEntropy {
    /** Elements of a chunk's logits by default: 8 MB in F32; their gradient is written over them. */
    private static final long CHUNK_ELEMENTS = 1L << 21;

    /**
     * Rows of a chunk at least, where the weight lies in a device's memory and is read again by both products of every
     * chunk: 4 R V C operations for 2 V C numbers, with 256 rows 512 operations a number, so that reading is not the bound. On a CPU
     * chunks keep to its caches instead.
     */
    private static final long DEVICE_ROWS = 256;

    /** Rows for which a frozen matrix is read from memory at least as fast as it is multiplied with. */
    private static final long FROZEN_ROWS = 128;

    private static final Expr LOSS = CrossEntropy.ROW;
    private static final Program LOSS_ONLY = Program.of(LOSS);
    /** Input 3 is what a row's loss is multiplied with on its way into the result. */
    private static final Program LOSS_AND_GRADIENT =
            Program.of(LOSS, Derivative.of(LOSS, 1, Expr.rowInput(3)).getFirst());
    /** The same of capped logits; input 3 is the cap, input 4 the factor. */
    private static final Expr CAPPED = CrossEntropy.capped(3);
    private static final Program CAPPED_ONLY = Program.of(CAPPED);
    private static final Program CAPPED_AND_GRADIENT =
            Program.of(CAPPED, Derivative.of(CAPPED, 1, Expr.rowInput(4)).getFirst());

    private LinearCrossEntropy() {}

    /** The mean over labels other than {@link CrossEntropy#IGNORE_INDEX}. */
    public static Var apply(Var hidden, Var weight, Tensor labels) {
        return apply(hidden, weight, labels, Options.MEAN);
    }

    /** As the longest form, with chunks of a few megabytes. */
    public static Var apply(Var hidden, Var weight, Tensor labels, Options options) {
        return apply(hidden, weight, labels, options, Precision.F32);
    }

    /** As the longest form in F32; in BF16 with the operands of all products rounded, as {@link Linear} has it. */
    public static Var apply(Var hidden, Var weight, Tensor labels, Options options, Precision precision) {
        return apply(hidden, weight, labels, options, chunkRows(hidden, 16, weight.size(0)), precision);
    }

    /**
     * The loss: a scalar, or {@code [M]} without reduction. A mean over no labels is NaN.
     *
     * @param hidden {@code [M, C]}
     * @param weight {@code [V, C]}, any floating type; if it needs no gradient none is computed
     * @param labels integers {@code [M]}
     * @param options without label smoothing and class weights: use {@link CrossEntropy} for these
     * @param chunkRows rows whose logits exist at a time
     */
    public static Var apply(Var hidden, Var weight, Tensor labels, Options options, long chunkRows) {
        return apply(hidden, weight, labels, options, chunkRows, Precision.F32);
    }

    private static Var apply(Var hidden, Var weight, Tensor labels, Options options, long chunkRows, Precision precision) {
        check(hidden, weight.shape(), labels, options, chunkRows);
        return counted(hidden, VocabularyMatrix.of(weight, precision), labels, options, chunkRows);
    }

    /** The mean, with a quantised matrix. */
    public static Var apply(Var hidden, QuantizedMatrix weight, Tensor labels) {
        return apply(hidden, weight, labels, Options.MEAN);
    }

    /**
     * The same with a matrix {@code [V, C]} that stays quantised: it is widened a few rows at a time, once for every
     * chunk of logits and once more for their gradient.
     */
    public static Var apply(Var hidden, QuantizedMatrix weight, Tensor labels, Options options) {
        long chunkRows = chunkRows(hidden, 64, weight.rows());
        check(hidden, new long[] {weight.rows(), weight.columns()}, labels, options, chunkRows);
        return counted(hidden, VocabularyMatrix.of(weight), labels, options, chunkRows);
    }

    /** The same with a matrix {@code [V, C]} in its kernel's own order; {@code hidden} is F32. */
    public static Var apply(Var hidden, FrozenMatrix weight, Tensor labels, Options options, Precision precision) {
        long chunkRows = chunkRows(hidden, FROZEN_ROWS, weight.out());
        check(hidden, new long[] {weight.out(), weight.in()}, labels, options, chunkRows);
        return counted(hidden, VocabularyMatrix.of(weight, precision), labels, options, chunkRows);
    }

    private static long chunkRows(Var hidden, long least, long classes) {
        long rows = Math.max(least, CHUNK_ELEMENTS / Math.max(1, classes));
        return hidden.tensor().storage().isHostAddressable() ? rows : Math.max(DEVICE_ROWS, rows);
    }

    /** The loss over the rows whose labels count. */
    private static Var counted(Var hidden, VocabularyMatrix weight, Tensor labels, Options options, long chunkRows) {
        long[] rows = countedRows(labels, options.ignoreIndex());
        if (rows.length == labels.size(0)) {
            return all(hidden, weight, labels, options, chunkRows);
        }
        Tensor ids = Tensor.of(hidden.backend(), rows, rows.length);
        long[] all = labels.toLongArray();
        Tensor kept = Tensor.of(labels.backend(), Arrays.stream(rows).map(r -> all[(int) r]).toArray(), rows.length);
        Var loss = all(Lookup.gather(hidden, ids), weight, kept, options, chunkRows);
        return options.reduction() != Reduction.NONE ? loss
                : Lookup.scatterAdd(loss.reshape(rows.length, 1), ids, labels.size(0)).reshape(labels.size(0));
    }

    /** {@link #apply} in terms of primitives; stores all logits. */
    public static Var definition(Var hidden, Var weight, Tensor labels, Options options) {
        return CrossEntropy.apply(Linear.apply(hidden, weight), labels, options);
    }

    private static long[] countedRows(Tensor labels, long ignored) {
        long[] y = labels.toLongArray();
        return java.util.stream.IntStream.range(0, y.length).filter(i -> y[i] != ignored).asLongStream().toArray();
    }

    private static Var all(Var hidden, VocabularyMatrix weight, Tensor labels, Options options, long chunkRows) {
        boolean none = options.reduction() == Reduction.NONE;
        boolean dWeight = Recording.isOn() && weight.requiresGrad();
        if (none && dWeight) {
            // Each row's gradient would have to be kept: there is no shorter way.
            return CrossEntropy.apply(weight.product(hidden), labels, options);
        }
        Targets targets = Targets.of(labels, weight.classes(), options);
        double factor = switch (options.reduction()) {
            case NONE -> 1;
            case SUM -> 1 / options.numItems().orElse(1);
            case MEAN -> 1 / targets.total();
        };
        Parts parts = parts(hidden, weight, targets, factor, options.softcap(), chunkRows,
                Recording.isOn() && hidden.requiresGrad(), dWeight);
        Tensor value = Recording.off(() -> {
            Var rows = Var.constant(parts.rows());
            return none ? rows.reshape(rows.size(0)) : rows.sum().mul(factor);
        }).tensor();
        return Fused.record("linear_cross_entropy", weight.inputs(hidden), new Tensor[] {value}, Reads.NOTHING,
                (up, needed) -> new Tensor[] {
                    needed[0] ? scaled(parts.dHidden(), none ? up[0].unsqueeze(1) : up[0]) : null,
                    needed.length > 1 && needed[1] ? scaled(parts.dWeight(), up[0]) : null},
                in -> new Var[] {CrossEntropy.apply(weight.with(in).product(in[0]), labels, options)})[0];
    }

    private static Tensor scaled(Tensor gradient, Tensor upstream) {
        return Var.constant(gradient).mul(Var.constant(upstream)).tensor();
    }

    /** Losses {@code [M, 1]} and the gradients by their sum times the factor; null where not asked for. */
    private record Parts(Tensor rows, Tensor dHidden, Tensor dWeight) {}

    private static Parts parts(Var hidden, VocabularyMatrix weight, Targets targets, double factor, double softcap, long chunkRows,
            boolean dHidden, boolean dWeight) {
        Backend backend = hidden.backend();
        DType type = hidden.dtype() == DType.F64 || weight.isF64() ? DType.F64 : DType.F32;
        long count = hidden.size(0);
        long classes = weight.classes();
        Tensor rows = Tensor.empty(backend, type, count, 1);
        Tensor gradHidden = dHidden ? Tensor.empty(backend, type, hidden.shape()) : null;
        Tensor gradWeight = dWeight ? Tensor.zeros(backend, type, classes, hidden.size(1)) : null;
        try (Scope scope = Scope.open()) {
            Tensor x = hidden.tensor();
            VocabularyMatrix matrix = weight.prepared();
            boolean gradient = dHidden || dWeight;
            // Labels that do not count were left out before, so a row's weight is 1.
            if (!gradient && matrix.losses(x, Arrays.stream(targets.label()).mapToLong(l -> (long) l).toArray(), softcap, rows)) {
                return new Parts(rows, null, null);
            }
            Tensor labels = Tensor.of(backend, type, targets.label(), count, 1);
            Tensor weights = Tensor.of(backend, type, targets.weight(), count, 1);
            Tensor scale = Tensor.full(backend, type, factor);
            Tensor cap = Tensor.full(backend, type, softcap);
            boolean capped = softcap > 0;
            long size = Math.min(chunkRows, count);
            Tensor logits = Tensor.empty(backend, type, size, classes);
            for (long from = 0; from < count; from += size) {
                long to = Math.min(count, from + size);
                Tensor part = logits.slice(0, 0, to - from);
                matrix.logits(x.slice(0, from, to), part);
                Tensor label = labels.slice(0, from, to);
                Tensor rowWeight = weights.slice(0, from, to);
                Tensor loss = rows.slice(0, from, to);
                if (!gradient) {
                    Tensor[] in = capped ? new Tensor[] {part, label, rowWeight, cap} : new Tensor[] {part, label, rowWeight};
                    backend.map(capped ? CAPPED_ONLY : LOSS_ONLY, in, new Tensor[] {loss});
                    continue;
                }
                Tensor[] in = capped ? new Tensor[] {part, label, rowWeight, cap, scale} : new Tensor[] {part, label, rowWeight, scale};
                backend.map(capped ? CAPPED_AND_GRADIENT : LOSS_AND_GRADIENT, in, new Tensor[] {loss, part});
                // From here on part is the gradient by the logits, written over them.
                if (dHidden) {
                    matrix.back(part, gradHidden.slice(0, from, to));
                }
                if (dWeight) {
                    matrix.gradient(part, x.slice(0, from, to), gradWeight);
                }
            }
        }
        return new Parts(rows, gradHidden, gradWeight);
    }

    private static void check(Var hidden, long[] weight, Tensor labels, Options options, long chunkRows) {
        if (hidden.rank() != 2 || weight.length != 2 || hidden.size(1) != weight[1] || labels.rank() != 1
                || labels.size(0) != hidden.size(0) || labels.dtype().isFloating()) {
            throw new IllegalArgumentException("linearCrossEntropy needs hidden [M, C], weight [V, C] and integer "
                    + "labels [M], got "
                    + Arrays.toString(hidden.shape()) + ", " + Arrays.toString(weight) + " and " + labels
                    + ". Flatten leading axes with reshape.");
        }
        if (options.labelSmoothing() != 0 || options.classWeights().isPresent()) {
            throw new IllegalArgumentException("linearCrossEntropy has neither label smoothing nor class weights. "
                    + "Use CrossEntropy on the logits.");
        }
        if (chunkRows < 1) {
            throw new IllegalArgumentException("chunks of " + chunkRows + " rows cannot be made. Pass at least 1.");
        }
    }
}
