package dev.jotune.cuda;

import java.util.Arrays;
import java.util.Locale;

/**
 * How tensor cores may take part in products of F32; the property has PyTorch's name ({@code torch.backends.cuda.matmul.fp32_precision}) and its
 * first two values, the third is XLA's name of that algorithm.
 */
enum Fp32Precision {
    /** Not at all: every product and sum is one of F32. */
    IEEE,
    /** Operands are rounded to TF32, 11 bits of significand, and summed in F32. */
    TF32,
    /** Operands are three BF16 numbers each, and the six largest of nine products are summed: nearly F32, for most lengths more exact. */
    BF16X6;

    /** Read at every product of F32, so that a program may change it between two of them. */
    static final String PROPERTY = "jotune.cuda.fp32_precision";

    static Fp32Precision wanted() {
        String wanted = System.getProperty(PROPERTY);
        return wanted == null ? IEEE : of(wanted);
    }

    private static Fp32Precision of(String wanted) {
        return Arrays.stream(values()).filter(p -> p.toString().equals(wanted.toLowerCase(Locale.ROOT))).findFirst()
                .orElseThrow(() -> new IllegalArgumentException(PROPERTY + " is '" + wanted + "'. Use one of " + Arrays.toString(values()) + "."));
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
