package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * Writes the kernel that copies elements between layouts where arithmetic must not touch them: equal types move as the bits they
 * are, and integers become other integers without a detour over reals, which hold 24 or 53 bits of them.
 */
final class CopyText {
    private static final int GROUP = 128;

    private CopyText() {}

    /** Whether {@link #of} can say it; else it is the program {@code x}. */
    static boolean covers(DType from, DType to) {
        return from == to || !from.isFloating() && !to.isFloating();
    }

    /** The kernel, with the parameters of {@link ProgramText#of} for one input and one output. */
    static KernelSource of(DType from, DType to, int outer) {
        DType source = from == to ? carrier(from) : from;
        DType target = from == to ? source : to;
        String value = "in0[from]";
        if (to == DType.BOOL || from == DType.BOOL) {
            value = "(in0[from] != 0 ? 1 : 0)";
        }
        StringBuilder text = new StringBuilder("KERNEL {\n");
        text.append("    for (i64 e = (i64)BIDX * GROUP + LID; e < rows * n; e += (i64)GRIDX * GROUP) {\n");
        text.append("        i64 rest = e / n;\n");
        StringBuilder in = new StringBuilder("e % n * in0_step");
        StringBuilder out = new StringBuilder("e % n * out0_step");
        for (int i = outer - 1; i >= 0; i--) {
            text.append("        i64 at").append(i).append(i == 0 ? " = rest;\n" : " = rest % size" + i + ";\n");
            if (i > 0) {
                text.append("        rest /= size").append(i).append(";\n");
            }
            in.append(" + at").append(i).append(" * in0_stride").append(i);
            out.append(" + at").append(i).append(" * out0_stride").append(i);
        }
        text.append("        i64 from = ").append(in).append(";\n        i64 to = ").append(out).append(";\n");
        text.append("        out0[to] = (").append(word(target)).append(")").append(value).append(";\n    }\n}\n");
        return new KernelSource("copy", text.toString(), params(source, target, outer), new TreeMap<>(), GROUP, DType.F32);
    }

    private static List<Param> params(DType from, DType to, int outer) {
        List<Param> all = new ArrayList<>(List.of(Param.in("in0", from), Param.out("out0", to), Param.int64("rows"), Param.int64("n")));
        for (int i = 1; i < outer; i++) {
            all.add(Param.int64("size" + i));
        }
        for (String operand : new String[] {"in0", "out0"}) {
            all.add(Param.int64(operand + "_step"));
            for (int i = 0; i < outer; i++) {
                all.add(Param.int64(operand + "_stride" + i));
            }
        }
        return all;
    }

    /** An integer type of the same width; BOOL stays, since a copy makes any byte 0 or 1. */
    private static DType carrier(DType type) {
        return switch (type) {
            case F64, I64 -> DType.I64;
            case F32, I32 -> DType.I32;
            // Stored as an unsigned integer of 16 bits.
            case F16, BF16 -> DType.BF16;
            case I8, U8 -> DType.U8;
            case BOOL -> DType.BOOL;
        };
    }

    private static String word(DType type) {
        return switch (type) {
            case I64 -> "i64";
            case I32 -> "int";
            case BF16 -> "u16";
            case I8 -> "i8";
            case U8, BOOL -> "u8";
            default -> throw new IllegalArgumentException(type + " is no integer. Copy it as the program x.");
        };
    }
}
