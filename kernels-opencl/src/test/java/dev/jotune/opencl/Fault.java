package dev.jotune.opencl;

import java.util.function.UnaryOperator;

/** What can go wrong in a kernel's text, planted to see that tests notice. */
enum Fault implements UnaryOperator<String> {
    NONE("", ""),
    /** Items use a tile that others are still loading. */
    MISSING_BARRIER("            BARRIER();\n            for (int i = 0; i < TILE; i++)", "            for (int i = 0; i < TILE; i++)"),
    /** Items beyond the matrix store too. */
    STORE_OUT_OF_BOUNDS("        if (r < m && s < n) {\n#if ACCUMULATE", "        if (1) {\n#if ACCUMULATE"),
    /** The operand's rows are taken for its columns. */
    WRONG_STRIDE("r * a_row + (k0 + column) * a_column", "r * a_column + (k0 + column) * a_row");

    private final String right;
    private final String wrong;

    Fault(String right, String wrong) {
        this.right = right;
        this.wrong = wrong;
    }

    /** Plants itself in the plain matrix product; other kernels stay. */
    @Override
    public String apply(String text) {
        if (this == NONE || !text.contains("KERNEL_HEAD matmul_plain(")) {
            return text;
        }
        if (!text.contains(right)) {
            throw new IllegalStateException("The text that " + this + " replaces is not in the kernel any more. Adapt it here.");
        }
        return text.replace(right, wrong);
    }
}
