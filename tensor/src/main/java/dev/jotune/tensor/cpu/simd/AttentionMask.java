package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

/** Softcap, bias and masks on the score tile of a block. */
final class AttentionMask {
    private final AttentionBlock block;
    private final AttentionSegment segment;
    private final long limits;
    private final long biasRows;
    private final long biasTile;

    /** @param memory room for {@link #floats} floats */
    AttentionMask(AttentionBlock block, AttentionSegment segment, long memory) {
        this.block = block;
        this.segment = segment;
        limits = memory;
        biasRows = memory + 4L * AttentionBlock.ROWS;
        biasTile = biasRows + AttentionBlock.STEP * AttentionBlock.KEYS;
    }

    /** Working memory, in floats. */
    static long floats(AttentionSegment[] segments) {
        boolean bias = false;
        for (AttentionSegment s : segments) {
            bias |= s.bias() != 0;
        }
        return AttentionBlock.ROWS + (bias ? 2L * AttentionBlock.ROWS * AttentionBlock.KEYS : 0);
    }

    /**
     * Scores become capped, biased and masked ones; hidden places are -inf. What no row
     * of a vector sees was not computed and stays undefined.
     *
     * @param capped where to keep the softcapped scores for the backward pass, or 0
     */
    void apply(long capped) {
        if (segment.softcap() != 0) {
            softcap(capped);
        }
        if (segment.bias() != 0) {
            bias();
        }
        if (segment.visible() != 0) {
            long bytes = segment.visible() + block.batch * segment.visibleBatch() + block.key;
            for (int s = 0; s < block.count; s++) {
                if (Mem.i8(bytes + s) == 0) {
                    AttentionRows.fill(row(block.scores, s), block.vectors * L, Float.NEGATIVE_INFINITY);
                }
            }
        }
        block.hide(limits);
    }

    private static long row(long tile, int key) {
        return tile + AttentionBlock.STEP * key;
    }

    private void softcap(long capped) {
        for (int s = 0; s < block.count; s++) {
            AttentionRows.softcap(row(block.scores, s), block.vectors * L, segment.softcap());
            if (capped != 0) {
                Mem.copy(row(block.scores, s), row(capped, s), 4L * block.vectors * L);
            }
        }
    }

    // A bias lies query by query as a rule: gathered so, turned, added.
    private void bias() {
        int width = AttentionBlock.pad(block.count);
        for (int i = 0; i < block.vectors * L; i++) {
            long to = biasRows + 4L * i * width;
            if (i >= block.rows) {
                AttentionRows.fill(to, width, 0);
                continue;
            }
            long from = address(i);
            if (segment.biasKey() == 1) {
                AttentionRows.copyScaled(from, to, block.count, width, 1);
            } else {
                for (int s = 0; s < block.count; s++) {
                    Mem.f32(to + 4L * s, Mem.f32(from + 4 * segment.biasKey() * s));
                }
            }
        }
        block.transpose(biasRows, width, biasTile);
        for (int s = 0; s < block.count; s++) {
            AttentionRows.add(row(block.scores, s), row(biasTile, s), block.vectors * L);
        }
    }

    /** The bias of a row and the tile's first key. */
    private long address(int row) {
        return segment.bias() + segment.bias(block.batch, block.head(row), block.position(row), block.key);
    }

    /** Adds the tile {@code dScores} to the gradient of the bias, which has the bias's strides. */
    void biasGradient(long dScores, long dBias) {
        for (int i = 0; i < block.rows; i++) {
            long to = dBias - segment.bias() + address(i);
            for (int s = 0; s < block.count; s++) {
                long at = to + 4 * segment.biasKey() * s;
                Mem.f32(at, Mem.f32(at) + Mem.f32(row(dScores, s) + 4L * i));
            }
        }
    }

    /** {@code dScores (1 - (capped / c)^2)}: the derivative of the softcap, given its results. */
    void softcapGradient(long dScores, long capped) {
        for (int s = 0; s < block.count; s++) {
            AttentionRows.softcapGradient(row(dScores, s), row(capped, s), block.vectors * L,
                    segment.softcap());
        }
    }
}
