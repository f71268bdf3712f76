package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Softmax cross-entropy of logits {@code [M, V]}: {@code -log softmax(logits)[label]}, one expression a row.
 *
 * <p>If every label is ignored the mean is 0 / 0 = NaN and the sum is 0, as in PyTorch.
 */
public final class CrossEntropy {
    /** The label that PyTorch and Hugging Face ignore unless told otherwise. */
    public static final long IGNORE_INDEX = -100;

    private static final Expr X = Expr.input(0);
    private static final Expr WEIGHT = Expr.rowInput(2);
    private static final Expr SHIFTED = X.minus(X.rowMax().detach());
    private static final Expr LOG_TOTAL = SHIFTED.exp().rowSum().log();
    private static final Expr NLL = Formulas.negativeLogLikelihood(X);
    /** The loss of a row; inputs: logits, the row's label and the row's weight, 0 where it is ignored. */
    static final Expr ROW = Formulas.CROSS_ENTROPY;

    private static final MapOp PLAIN = MapOp.of("cross_entropy", 3, ROW);
    private static final MapOp SMOOTH = smooth();
    private static final MapOp SOFT = MapOp.of("soft_cross_entropy", 2,
            Expr.input(1).times(LOG_TOTAL.minus(SHIFTED)).rowSum());

    private CrossEntropy() {}

    /** {@link #ROW} of capped logits; {@code cap} says which input is the cap. */
    static Expr capped(int cap) {
        Expr c = Expr.rowInput(cap);
        return Formulas.crossEntropy(X.over(c).tanh().times(c));
    }

    /** How the rows become one number. */
    public enum Reduction {
        /** Divided by the sum of the labels' weights: without class weights, by the number of labels not ignored. */
        MEAN,
        SUM,
        /** One loss a row, 0 where it is ignored. */
        NONE
    }

    /**
     * Everything that may differ.
     *
     * @param ignoreIndex the label of rows that do not count
     * @param labelSmoothing s: the loss becomes {@code (1 - s) nll + s / V sum_c w_c (-log p_c)}
     * @param classWeights w {@code [V]}, floating
     * @param numItems if present the sum is divided by this, as in gradient accumulation
     * @param softcap c &gt; 0: logits pass through {@code c tanh(logit / c)} first; 0: none
     */
    public record Options(Reduction reduction, long ignoreIndex, double labelSmoothing, Optional<Tensor> classWeights,
            OptionalDouble numItems, double softcap) {
        public static final Options MEAN = of(Reduction.MEAN);
        public static final Options SUM = of(Reduction.SUM);
        public static final Options NONE = of(Reduction.NONE);

        public static Options of(Reduction reduction) {
            return new Options(reduction, IGNORE_INDEX, 0, Optional.empty(), OptionalDouble.empty(), 0);
        }

        public Options withIgnoreIndex(long index) {
            return new Options(reduction, index, labelSmoothing, classWeights, numItems, softcap);
        }

        public Options withLabelSmoothing(double s) {
            if (!(s >= 0 && s <= 1)) {
                throw new IllegalArgumentException("label smoothing " + s
                        + " is not in [0, 1]. Pass a share, such as 0.1.");
            }
            return new Options(reduction, ignoreIndex, s, classWeights, numItems, softcap);
        }

        public Options withClassWeights(Tensor weights) {
            return new Options(reduction, ignoreIndex, labelSmoothing, Optional.of(weights), numItems, softcap);
        }

        /** The sum divided by a count that the caller knows: the labels of all batches of an accumulated step. */
        public Options withNumItems(double count) {
            return new Options(Reduction.SUM, ignoreIndex, labelSmoothing, classWeights, OptionalDouble.of(count), softcap);
        }

        /** Logits stay within c (Gemma Team, arXiv 2408.00118). */
        public Options withSoftcap(double c) {
            return new Options(reduction, ignoreIndex, labelSmoothing, classWeights, numItems, c);
        }
    }

    /** The mean over rows whose label is not {@link #IGNORE_INDEX}. */
    public static Var apply(Var logits, Tensor labels) {
        return apply(logits, labels, Options.MEAN);
    }

    /**
     * The loss: a scalar, or {@code [M]} without reduction.
     *
     * @param raw logits {@code [M, V]}
     * @param labels integers {@code [M]} in [0, V), or the ignored one
     * @throws IndexOutOfBoundsException naming the label that is not a class
     */
    public static Var apply(Var raw, Tensor labels, Options options) {
        checkShapes(raw, labels);
        Var logits = options.softcap() > 0 ? Activations.softcap(raw, options.softcap()) : raw;
        Targets targets = Targets.of(labels, logits.size(1), options);
        Var label = targets.column(logits, targets.label());
        Var weight = targets.column(logits, targets.weight());
        Var rows;
        if (options.labelSmoothing() == 0) {
            rows = PLAIN.apply(logits, label, weight);
        } else {
            Var classes = Var.constant(options.classWeights().map(w -> w.to(logits.backend()))
                    .orElseGet(() -> Tensor.full(logits.backend(), logits.scalarLike(0).dtype(), 1, logits.size(1))));
            rows = SMOOTH.apply(logits, label, weight, targets.column(logits, targets.active()), classes,
                    logits.scalarLike(options.labelSmoothing()));
        }
        return reduced(rows, targets.total(), options);
    }

    /**
     * The mean over rows of {@code -sum_c p_c log softmax(logits)_c}.
     *
     * @param probabilities {@code [M, V]}, which may carry a gradient
     */
    public static Var soft(Var logits, Var probabilities) {
        if (logits.rank() != 2 || !Arrays.equals(logits.shape(), probabilities.shape())) {
            throw new IllegalArgumentException("soft cross-entropy needs logits and probabilities [M, V], got "
                    + Arrays.toString(logits.shape()) + " and " + Arrays.toString(probabilities.shape()));
        }
        return SOFT.apply(logits, probabilities).mean();
    }

    /** Labels {@code [B, T]} as targets of the position before: shifted to the left, the last one ignored. */
    public static Tensor nextTokenLabels(Tensor labels) {
        if (labels.rank() != 2) {
            throw new IllegalArgumentException("next-token labels are made from labels [B, T], got " + labels);
        }
        long[] from = labels.toLongArray();
        long[] to = new long[from.length];
        int time = Math.toIntExact(labels.size(1));
        for (int i = 0; i < to.length; i++) {
            to[i] = (i + 1) % time == 0 ? IGNORE_INDEX : from[i + 1];
        }
        return Tensor.of(labels.backend(), to, labels.shape());
    }

    static Var reduced(Var rows, double total, Options options) {
        return switch (options.reduction()) {
            case NONE -> rows.reshape(rows.size(0));
            case SUM -> rows.sum().mul(1 / options.numItems().orElse(1));
            case MEAN -> rows.sum().mul(1 / total);
        };
    }

    static void checkShapes(Var logits, Tensor labels) {
        if (logits.rank() != 2 || labels.rank() != 1 || labels.size(0) != logits.size(0)
                || labels.dtype().isFloating()) {
            throw new IllegalArgumentException("cross-entropy needs logits [M, V] and integer labels [M], got "
                    + Arrays.toString(logits.shape()) + " and " + labels + ". Flatten leading axes with reshape.");
        }
    }

    private static MapOp smooth() {
        Expr active = Expr.rowInput(3);
        Expr classes = Expr.input(4);
        Expr s = Expr.rowInput(5);
        Expr all = classes.times(LOG_TOTAL.minus(SHIFTED)).rowSum().over(new Expr.Iota().ge(Expr.of(0)).rowSum());
        Expr hard = NLL.times(WEIGHT).times(Expr.of(1).minus(s));
        return MapOp.of("smooth_cross_entropy", 6, Expr.select(active, hard.plus(all.times(s)), Expr.of(0)));
    }

    /** Per row: the label, its weight (0 where ignored) and whether the row counts; and the sum of the weights. */
    record Targets(double[] label, double[] weight, double[] active, double total) {
        static Targets of(Tensor labels, long classes, Options options) {
            long[] y = labels.toLongArray();
            double[] classWeight = options.classWeights().map(Tensor::toDoubleArray).orElse(null);
            if (classWeight != null && classWeight.length != classes) {
                throw new IllegalArgumentException(classWeight.length + " class weights do not fit " + classes
                        + " classes. Pass one weight for each class.");
            }
            double[] label = new double[y.length];
            double[] weight = new double[y.length];
            double[] active = new double[y.length];
            double total = 0;
            for (int i = 0; i < y.length; i++) {
                label[i] = y[i];
                if (y[i] == options.ignoreIndex()) {
                    continue;
                }
                if (y[i] < 0 || y[i] >= classes) {
                    throw new IndexOutOfBoundsException("label " + y[i] + " at position " + i + " is not one of "
                            + classes
                            + " classes. Use " + options.ignoreIndex() + " for positions that do not count.");
                }
                active[i] = 1;
                weight[i] = classWeight == null ? 1 : classWeight[(int) y[i]];
                total += weight[i];
            }
            return new Targets(label, weight, active, total);
        }

        /** {@code values} as {@code [M, 1]}, in the type that {@code like} computes in. */
        Var column(Var like, double[] values) {
            DType type = like.dtype() == DType.F64 ? DType.F64 : DType.F32;
            return Var.constant(Tensor.of(like.backend(), type, values, values.length, 1));
        }
    }
}
