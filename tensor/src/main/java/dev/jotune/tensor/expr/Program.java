package dev.jotune.tensor.expr;

import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.IntConsumer;

/**
 * Expressions as straight-line code: instruction i defines value i from earlier values, each once.
 *
 * <p>Common subexpressions are merged, so a function and its derivative computed together share their work. A
 * program is immutable; compile it once and keep it.
 */
public final class Program {
    /** Defines one value. Operands are indices of earlier instructions. */
    public sealed interface Instruction {
        /** Reads input {@code index}. */
        record Load(int index, boolean rowConstant) implements Instruction {}

        record Constant(double value) implements Instruction {}

        record Position() implements Instruction {}

        record Apply1(UnaryOp op, int x) implements Instruction {}

        record Apply2(BinaryOp op, int a, int b) implements Instruction {}

        record Choose(int condition, int a, int b) implements Instruction {}

        record SumRow(int x) implements Instruction {}

        record MaxRow(int x) implements Instruction {}

        /** Visits the values that this one is computed from. */
        default void forOperands(IntConsumer f) {
            switch (this) {
                case Apply1 a -> f.accept(a.x());
                case Apply2 a -> {
                    f.accept(a.a());
                    f.accept(a.b());
                }
                case Choose c -> {
                    f.accept(c.condition());
                    f.accept(c.a());
                    f.accept(c.b());
                }
                case SumRow s -> f.accept(s.x());
                case MaxRow m -> f.accept(m.x());
                case Load l -> { }
                case Constant c -> { }
                case Position p -> { }
            }
        }
    }

    private final List<Instruction> code;
    private final boolean[] rowConstant;
    private final int[] outputs;
    private final int inputs;
    private final boolean reduces;
    private final int hash;
    private final ConcurrentHashMap<Object, Object> plans = new ConcurrentHashMap<>(2);

    private Program(List<Instruction> code, boolean[] rowConstant, int[] outputs, int inputs) {
        this.code = List.copyOf(code);
        this.rowConstant = rowConstant;
        this.outputs = outputs;
        this.inputs = inputs;
        this.reduces = code.stream().anyMatch(i ->
                i instanceof Instruction.SumRow || i instanceof Instruction.MaxRow
                        || i instanceof Instruction.Position);
        this.hash = 31 * this.code.hashCode() + Arrays.hashCode(outputs);
    }

    /** Compiles expressions that are computed together. */
    public static Program of(Expr... outputs) {
        return new Compiler().compile(outputs);
    }

    public List<Instruction> code() {
        return code;
    }

    /** Whether value {@code i} is the same along the row. */
    public boolean isRowConstant(int i) {
        return rowConstant[i];
    }

    /** The values to store, in order. */
    public int output(int k) {
        return outputs[k];
    }

    public int outputCount() {
        return outputs.length;
    }

    /** One more than the largest input index. */
    public int inputCount() {
        return inputs;
    }

    /** Whether a value depends on the whole row or on the place in it, so that rows must not be cut or joined. */
    public boolean needsRows() {
        return reduces;
    }

    /**
     * What somebody who runs programs worked out about this one, kept with it.
     *
     * @param key unlike anybody else's; makes {@code make} run once
     */
    @SuppressWarnings("unchecked")
    public <K, T> T plan(K key, Function<K, T> make) {
        Object known = plans.get(key);
        return (T) (known != null ? known : plans.computeIfAbsent(key, k -> make.apply((K) k)));
    }

    /** Programs are equal that compute the same outputs in the same order by the same instructions. */
    @Override
    public boolean equals(Object o) {
        return this == o || o instanceof Program p && hash == p.hash && Arrays.equals(outputs, p.outputs) && code.equals(p.code);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    private static final class Compiler {
        private final List<Instruction> code = new ArrayList<>();
        private final List<Boolean> constant = new ArrayList<>();
        private final Map<Instruction, Integer> known = new HashMap<>();
        private final Map<Expr, Integer> done = new IdentityHashMap<>();
        private int inputs;

        Program compile(Expr... roots) {
            int[] out = new int[roots.length];
            for (int i = 0; i < roots.length; i++) {
                out[i] = visit(roots[i]);
            }
            boolean[] flags = new boolean[code.size()];
            for (int i = 0; i < flags.length; i++) {
                flags[i] = constant.get(i);
            }
            return new Program(code, flags, out, inputs);
        }

        private int visit(Expr e) {
            Integer seen = done.get(e);
            if (seen != null) {
                return seen;
            }
            int id = switch (e) {
                case Expr.Input(int i) -> load(i, false);
                case Expr.RowInput(int i) -> load(i, true);
                case Expr.Const(double v) -> add(new Instruction.Constant(v), true);
                case Expr.Iota() -> add(new Instruction.Position(), false);
                case Expr.Detach(Expr x) -> visit(x);
                case Expr.Unary(UnaryOp op, Expr x) -> {
                    int a = visit(x);
                    yield add(new Instruction.Apply1(op, a), constant.get(a));
                }
                case Expr.Binary(BinaryOp op, Expr x, Expr y) -> {
                    int a = visit(x);
                    int b = visit(y);
                    yield add(new Instruction.Apply2(op, a, b), constant.get(a) && constant.get(b));
                }
                case Expr.Select(Expr c, Expr x, Expr y) -> {
                    int k = visit(c);
                    int a = visit(x);
                    int b = visit(y);
                    yield add(new Instruction.Choose(k, a, b), constant.get(k) && constant.get(a) && constant.get(b));
                }
                case Expr.RowSum(Expr x) -> add(new Instruction.SumRow(visit(x)), true);
                case Expr.RowMax(Expr x) -> {
                    int a = visit(x);
                    yield constant.get(a) ? a : add(new Instruction.MaxRow(a), true);
                }
            };
            done.put(e, id);
            return id;
        }

        private int load(int index, boolean rowConstant) {
            inputs = Math.max(inputs, index + 1);
            return add(new Instruction.Load(index, rowConstant), rowConstant);
        }

        private int add(Instruction i, boolean rowConstant) {
            Integer same = known.get(i);
            if (same != null) {
                return same;
            }
            code.add(i);
            constant.add(rowConstant);
            known.put(i, code.size() - 1);
            return code.size() - 1;
        }
    }
}
