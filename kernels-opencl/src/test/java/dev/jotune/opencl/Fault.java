package dev.jotune.opencl;

import java.util.function.UnaryOperator;

/** What can go wrong in a kernel's text, planted to see that tests notice. */
enum Fault implements UnaryOperator<String> {
    NONE("", "", ""),
    /** Items use a step of the inner axis that others are still loading. */
    MISSING_BARRIER("gemm", "        BARRIER();\n        turn = 1 - turn;", "        turn = 1 - turn;"),
    /** Items beyond the matrix store too. */
    STORE_OUT_OF_BOUNDS("gemm",
            "            if (m < rows && n < columns) {\n                real4 v", "            if (1) {\n                real4 v"),
    /** An operand's rows are taken for its columns. */
    WRONG_STRIDE("gemm", "LD(a, a_at + m * a_row + k * a_inner)", "LD(a, a_at + m * a_inner + k * a_row)"),
    /** Weights for the keys' gradient take the place of those for the values' while others still read them. */
    ATTENTION_MISSING_BARRIER("attention_keys", "        BARRIER();\n#endif\n#if WANT_KEYS\n        share(weights, up);",
            "#endif\n#if WANT_KEYS\n        share(weights, up);"),
    /** Queries beyond the last store too. */
    ATTENTION_STORE_OUT_OF_BOUNDS("attention_forward", "        if (row <= last) {\n            int head", "        if (1) {\n            int head"),
    /** A key's head is taken for its position. */
    ATTENTION_WRONG_STRIDE("attention_query", "STAGE_ROWS(stage, key, k0 + r < to, (k0 + r) * key_s, width)",
            "STAGE_ROWS(stage, key, k0 + r < to, (k0 + r) * key_b, width)");

    private final String kernel;
    private final String right;
    private final String wrong;

    Fault(String kernel, String right, String wrong) {
        this.kernel = kernel;
        this.right = right;
        this.wrong = wrong;
    }

    /** The kernel that it is planted in. */
    String kernel() {
        return kernel;
    }

    /** Plants itself in its kernel; others stay. */
    @Override
    public String apply(String text) {
        if (this == NONE || !text.contains("KERNEL_HEAD " + kernel + "(")) {
            return text;
        }
        if (!text.contains(right)) {
            throw new IllegalStateException("The text that " + this + " replaces is not in the kernel any more. Adapt it here.");
        }
        return text.replace(right, wrong);
    }
}
