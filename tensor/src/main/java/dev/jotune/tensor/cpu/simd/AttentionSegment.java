package dev.jotune.tensor.cpu.simd;

/**
 * Keys and values that queries attend to, one segment of several.
 *
 * @param k            keys, {@code [B or shared, G, S, D]}
 * @param v            values, {@code [B or shared, G, S, Dv]}
 * @param length       S
 * @param causal       query t sees key s only if {@code s <= t + offset}
 * @param offset       position of query 0 among this segment's keys
 * @param window       if above 0 and causal, also {@code s > t + offset - window}
 * @param visible      address of bytes {@code [B or 1, S]}, 0 hides the key; address 0 if all are visible
 * @param visibleBatch bytes from one batch entry's bytes to the next, 0 if shared
 * @param bias         address of F32 added to the scores after softcap, or 0
 * @param biasBatch    element strides of the bias {@code [b, h, t, s]}, 0 where it is broadcast
 * @param biasHead     see biasBatch
 * @param biasQuery    see biasBatch
 * @param biasKey      see biasBatch
 * @param softcap      c of {@code c tanh(score / c)}, 0 for none
 */
public record AttentionSegment(Heads k, Heads v, int length, boolean causal, long offset, int window, long visible,
        long visibleBatch, long bias, long biasBatch, long biasHead, long biasQuery, long biasKey, float softcap) {
    /** A segment that every query sees whole. */
    public AttentionSegment(Heads k, Heads v, int length) {
        this(k, v, length, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    }

    /** The same with a causal mask; window 0 for none. */
    public AttentionSegment withCausal(long newOffset, int newWindow) {
        return new AttentionSegment(k, v, length, true, newOffset, newWindow, visible, visibleBatch, bias, biasBatch,
                biasHead, biasQuery, biasKey, softcap);
    }

    /** The same with hidden keys. */
    public AttentionSegment withVisible(long address, long batchStride) {
        return new AttentionSegment(k, v, length, causal, offset, window, address, batchStride, bias, biasBatch,
                biasHead, biasQuery, biasKey, softcap);
    }

    /** The same with a bias. */
    public AttentionSegment withBias(long address, long batch, long head, long query, long key) {
        return new AttentionSegment(k, v, length, causal, offset, window, visible, visibleBatch, address, batch, head,
                query, key, softcap);
    }

    /** The same with softcapped scores. */
    public AttentionSegment withSoftcap(float c) {
        return new AttentionSegment(k, v, length, causal, offset, window, visible, visibleBatch, bias, biasBatch,
                biasHead, biasQuery, biasKey, c);
    }

    /** First key that the query at {@code t} sees. */
    int from(long t) {
        return causal && window > 0 ? (int) Math.max(0, Math.min(length, t + offset - window + 1)) : 0;
    }

    /** End of the keys that the query at {@code t} sees. */
    int to(long t) {
        return causal ? (int) Math.max(0, Math.min(length, t + offset + 1)) : length;
    }

    /** Bytes from the start of the bias to one element. */
    long bias(long b, long h, long t, long s) {
        return 4 * (b * biasBatch + h * biasHead + t * biasQuery + s * biasKey);
    }
}
