package dev.jotune.opencl;

import java.util.function.UnaryOperator;

/** What can go wrong in a kernel's text, planted to see that tests notice. */
enum Fault implements UnaryOperator<String> {
    NONE("", ""),
    /** Items use a step of the inner axis that others are still loading. */
    MISSING_BARRIER("        BARRIER();\n        turn = 1 - turn;", "        turn = 1 - turn;"),
    /** Items beyond the matrix store too. */
    STORE_OUT_OF_BOUNDS("            if (m < rows && n < columns) {\n                real4 v", "            if (1) {\n                real4 v"),
    /** An operand's rows are taken for its columns. */
    WRONG_STRIDE("LD(a, a_at + m * a_row + k * a_inner)", "LD(a, a_at + m * a_inner + k * a_row)");

    private final String right;
    private final String wrong;

    Fault(String right, String wrong) {
        this.right = right;
        this.wrong = wrong;
    }

    /** Plants itself in the tiled matrix product; other kernels stay. */
    @Override
    public String apply(String text) {
        if (this == NONE || !text.contains("KERNEL_HEAD gemm(")) {
            return text;
        }
        if (!text.contains(right)) {
            throw new IllegalStateException("The text that " + this + " replaces is not in the kernel any more. Adapt it here.");
        }
        return text.replace(right, wrong);
    }
}
