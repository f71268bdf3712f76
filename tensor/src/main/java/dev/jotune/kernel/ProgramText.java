package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.TreeMap;
import java.util.function.IntPredicate;

/**
 * Writes one fused kernel for an element-wise program.
 *
 * <p>Operands are walked as rows of {@code n} elements; a row's place in an operand follows from its number by the sizes of the
 * outer axes. A program without row reductions gives every item an element. One with reductions gives every group a row, and
 * goes over it once more than reductions are nested: each pass computes again, from memory, what its reductions need, and the
 * last one writes. So nothing but the operands is ever stored, and an output may lie where an input does: an element is written
 * by the item that read it, in the last pass.
 */
public final class ProgramText {
    /** Items of a group: enough to hide the latency of memory, few enough for short rows. */
    private static final int GROUP = 128;

    private final Program program;
    private final int outer;
    private final List<DType> inputs;
    private final List<DType> outputs;
    private final StringBuilder text = new StringBuilder();
    /** For each value: reductions that must be known before it. */
    private final int[] level;

    private ProgramText(Program program, int outer, List<DType> inputs, List<DType> outputs) {
        this.program = program;
        this.outer = outer;
        this.inputs = inputs;
        this.outputs = outputs;
        this.level = levels(program);
    }

    /** Whether a kernel of this program runs one group a row; otherwise one item an element. */
    public static boolean byRows(Program program) {
        boolean rowOutput = false;
        for (int k = 0; k < program.outputCount(); k++) {
            rowOutput |= program.isRowConstant(program.output(k));
        }
        return program.needsRows() || rowOutput;
    }

    /**
     * The kernel. Its parameters, in order: {@code in0..}, {@code out0..}; {@code rows} and {@code n} (64 bits); for every outer
     * axis but the first its size {@code size1..}; then for every operand, inputs first, its step along the row and its stride
     * along each outer axis, all in elements and 64 bits. Groups stride over the work, so any number of them is right.
     *
     * @param arithmetic F32 or F64
     * @param outer number of axes outside the rows
     * @param inputs stored type of each input, as many as the program has
     * @param outputs stored type of each output
     */
    public static KernelSource of(Program program, DType arithmetic, int outer, List<DType> inputs, List<DType> outputs) {
        if (inputs.size() < program.inputCount() || outputs.size() != program.outputCount()) {
            throw new IllegalArgumentException("The program has " + program.inputCount() + " inputs and " + program.outputCount()
                    + " outputs, not " + inputs.size() + " and " + outputs.size() + ". Give the type of each.");
        }
        ProgramText t = new ProgramText(program, outer, inputs, outputs);
        t.write(arithmetic);
        return new KernelSource("map", t.text.toString(), t.params(), new TreeMap<>(), GROUP, arithmetic);
    }

    private List<Param> params() {
        List<Param> all = new ArrayList<>();
        for (int k = 0; k < inputs.size(); k++) {
            all.add(Param.in("in" + k, inputs.get(k)));
        }
        for (int k = 0; k < outputs.size(); k++) {
            all.add(Param.out("out" + k, outputs.get(k)));
        }
        all.add(Param.int64("rows"));
        all.add(Param.int64("n"));
        for (int i = 1; i < outer; i++) {
            all.add(Param.int64("size" + i));
        }
        for (int k = 0; k < inputs.size() + outputs.size(); k++) {
            all.add(Param.int64(operand(k) + "_step"));
            for (int i = 0; i < outer; i++) {
                all.add(Param.int64(operand(k) + "_stride" + i));
            }
        }
        return all;
    }

    private String operand(int k) {
        return k < inputs.size() ? "in" + k : "out" + (k - inputs.size());
    }

    private void write(DType arithmetic) {
        text.append("KERNEL {\n");
        if (byRows(program)) {
            rows(arithmetic);
        } else {
            line(1, "for (i64 e = (i64)BIDX * GROUP + LID; e < rows * n; e += (i64)GRIDX * GROUP) {");
            line(2, outer == 0 ? "i64 pos = e;" : "i64 row = e / n;");
            if (outer > 0) {
                line(2, "i64 pos = e % n;");
            }
            places(2);
            values(2, arithmetic, i -> true);
            for (int k = 0; k < outputs.size(); k++) {
                line(2, store(k, "pos * out" + k + "_step"));
            }
            line(1, "}");
        }
        text.append("}\n");
    }

    private void rows(DType arithmetic) {
        line(1, "SHM real scratch[GROUP];");
        line(1, "for (i64 row = BIDX; row < rows; row += GRIDX) {");
        places(2);
        int passes = 0;
        for (int i = 0; i < level.length; i++) {
            if (isReduction(i)) {
                passes = Math.max(passes, level[i]);
            }
        }
        for (int pass = 0; pass <= passes; pass++) {
            int now = pass;
            values(2, arithmetic, i -> program.isRowConstant(i) && level[i] == now && !isReduction(i));
            if (pass < passes) {
                reduce(arithmetic, pass + 1);
            }
        }
        BitSet last = new BitSet();
        for (int k = 0; k < outputs.size(); k++) {
            need(program.output(k), last);
        }
        boolean elements = false;
        for (int k = 0; k < outputs.size(); k++) {
            elements |= !program.isRowConstant(program.output(k));
        }
        // A value a row may lie where an input of the row does, which slower items still read.
        line(2, "BARRIER();");
        if (elements) {
            line(2, "for (i64 pos = LID; pos < n; pos += GROUP) {");
            values(3, arithmetic, i -> last.get(i) && !program.isRowConstant(i));
            for (int k = 0; k < outputs.size(); k++) {
                if (!program.isRowConstant(program.output(k))) {
                    line(3, store(k, "pos * out" + k + "_step"));
                }
            }
            line(2, "}");
        }
        for (int k = 0; k < outputs.size(); k++) {
            if (program.isRowConstant(program.output(k))) {
                // Of a stretched row every element, of one number that number.
                line(2, "for (i64 pos = LID; pos < (out" + k + "_step == 0 ? 1 : n); pos += GROUP) {");
                line(3, store(k, "pos * out" + k + "_step"));
                line(2, "}");
            }
        }
        line(1, "}");
    }

    /** One pass for all reductions that need {@code pass - 1} earlier ones. */
    private void reduce(DType arithmetic, int pass) {
        BitSet needed = new BitSet();
        List<Integer> reductions = new ArrayList<>();
        for (int i = 0; i < level.length; i++) {
            if (isReduction(i) && level[i] == pass) {
                reductions.add(i);
                need(reduced(i), needed);
                line(2, "real p" + i + " = " + (program.code().get(i) instanceof Instruction.SumRow ? "R(0.0);" : "NEG_INF;"));
            }
        }
        line(2, "for (i64 pos = LID; pos < n; pos += GROUP) {");
        values(3, arithmetic, i -> needed.get(i) && !program.isRowConstant(i));
        for (int i : reductions) {
            boolean sum = program.code().get(i) instanceof Instruction.SumRow;
            line(3, "p" + i + " = " + (sum ? "p" + i + " + v" + reduced(i) : "FMAX(p" + i + ", v" + reduced(i) + ")") + ";");
        }
        line(2, "}");
        for (int i : reductions) {
            boolean sum = program.code().get(i) instanceof Instruction.SumRow;
            line(2, "real v" + i + " = " + (sum ? "GROUP_SUM" : "GROUP_MAX") + "(p" + i + ", scratch);");
        }
    }

    /** Where each operand's row begins. */
    private void places(int depth) {
        if (outer > 0) {
            line(depth, "i64 rest = row;");
        }
        for (int i = outer - 1; i >= 0; i--) {
            line(depth, i == 0 ? "i64 at0 = rest;" : "i64 at" + i + " = rest % size" + i + ";");
            if (i > 0) {
                line(depth, "rest /= size" + i + ";");
            }
        }
        for (int k = 0; k < inputs.size() + outputs.size(); k++) {
            StringBuilder sum = new StringBuilder("0");
            for (int i = 0; i < outer; i++) {
                sum.append(" + at").append(i).append(" * ").append(operand(k)).append("_stride").append(i);
            }
            line(depth, "i64 " + operand(k) + "_row = " + sum + ";");
        }
    }

    private String store(int k, String along) {
        return "ST(out" + k + ", out" + k + "_row + " + along + ", v" + program.output(k) + ");";
    }

    /** The chosen values, each defined once, in the order of the program. */
    private void values(int depth, DType arithmetic, IntPredicate chosen) {
        for (int i = 0; i < level.length; i++) {
            if (chosen.test(i)) {
                line(depth, "real v" + i + " = " + formula(program.code().get(i), arithmetic) + ";");
            }
        }
    }

    private static String formula(Instruction instruction, DType arithmetic) {
        return switch (instruction) {
            case Instruction.Load l -> "LD(in" + l.index() + ", in" + l.index() + "_row"
                    + (l.rowConstant() ? ")" : " + pos * in" + l.index() + "_step)");
            case Instruction.Constant c -> constant(c.value(), arithmetic);
            case Instruction.Position p -> "(real)pos";
            case Instruction.Apply1 a -> unary(a.op(), "v" + a.x());
            case Instruction.Apply2 a -> binary(a.op(), "v" + a.a(), "v" + a.b());
            case Instruction.Choose c -> "v" + c.condition() + " != R(0.0) ? v" + c.a() + " : v" + c.b();
            case Instruction.SumRow s -> throw new IllegalStateException("a reduction is no formula");
            case Instruction.MaxRow m -> throw new IllegalStateException("a reduction is no formula");
        };
    }

    /** Java writes the shortest decimal that reads back as the same number. */
    static String constant(double v, DType arithmetic) {
        float f = (float) v;
        if (Double.isNaN(v)) {
            return "NOT_A_NUMBER";
        }
        if (arithmetic == DType.F64 ? Double.isInfinite(v) : Float.isInfinite(f)) {
            return v > 0 ? "POS_INF" : "NEG_INF";
        }
        return "R(" + (arithmetic == DType.F64 ? Double.toString(v) : Float.toString(f)) + ")";
    }

    private static String unary(UnaryOp op, String x) {
        return switch (op) {
            case NEG -> "-" + x;
            case ABS -> "FABS(" + x + ")";
            case RECIPROCAL -> "R(1.0) / " + x;
            case SIGN, EXP, LOG, LOG1P, SQRT, RSQRT, TANH, SIGMOID, ERF, SIN, COS, FLOOR -> op.name() + "(" + x + ")";
        };
    }

    private static String binary(BinaryOp op, String a, String b) {
        return switch (op) {
            case ADD -> a + " + " + b;
            case SUB -> a + " - " + b;
            case MUL -> a + " * " + b;
            case DIV -> a + " / " + b;
            case MAX -> "FMAX(" + a + ", " + b + ")";
            case MIN -> "FMIN(" + a + ", " + b + ")";
            case POW -> "POW(" + a + ", " + b + ")";
            case LT -> truth(a + " < " + b);
            case LE -> truth(a + " <= " + b);
            case GT -> truth(a + " > " + b);
            case GE -> truth(a + " >= " + b);
            case EQ -> truth(a + " == " + b);
        };
    }

    private static String truth(String condition) {
        return condition + " ? R(1.0) : R(0.0)";
    }

    private void line(int depth, String s) {
        text.append("    ".repeat(depth)).append(s).append('\n');
    }

    private boolean isReduction(int i) {
        return program.code().get(i) instanceof Instruction.SumRow || program.code().get(i) instanceof Instruction.MaxRow;
    }

    private int reduced(int i) {
        return program.code().get(i) instanceof Instruction.SumRow s ? s.x() : ((Instruction.MaxRow) program.code().get(i)).x();
    }

    /** Marks what value {@code i} is computed from within a pass; reductions are known before it. */
    private void need(int i, BitSet needed) {
        if (!needed.get(i)) {
            needed.set(i);
            if (!isReduction(i)) {
                program.code().get(i).forOperands(o -> need(o, needed));
            }
        }
    }

    private static int[] levels(Program program) {
        int[] level = new int[program.code().size()];
        for (int i = 0; i < level.length; i++) {
            Instruction instruction = program.code().get(i);
            int at = i;
            instruction.forOperands(o -> level[at] = Math.max(level[at], level[o]));
            if (instruction instanceof Instruction.SumRow || instruction instanceof Instruction.MaxRow) {
                level[i]++;
            }
        }
        return level;
    }
}
