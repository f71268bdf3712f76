package dev.jotune.cuda;

import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.cuda.CudaSource.Chip;

/** The ladder of attention: each rung is used where it fits, and where it does not, those below it. Gradients have no plain kernel. */
enum AttentionRung {
    /** The kernels that every device has. */
    PORTABLE,
    /** Tensor cores, and nothing under way meanwhile. */
    PLAIN,
    /** Tensor cores fed by warps. */
    WARPS,
    /** Tensor cores fed from shared memory by warp groups. */
    GROUPS;

    /** The rung that belongs to one of the ladder of products, on a chip of this compute capability. */
    static AttentionRung of(Way way, int chip) {
        return switch (way) {
            case PORTABLE -> PORTABLE;
            case PLAIN -> PLAIN;
            case MMA_SMALL, MMA_MEDIUM, MMA_LARGE -> WARPS;
            case AUTO, WGMMA_128, WGMMA_256, WGMMA_PAIRS -> chip == Chip.SM90A.capability() ? GROUPS : WARPS;
        };
    }
}
