package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/**
 * A cache for rotary angles that depend on how far the text reaches (LongRoPE). Beyond that length every earlier token
 * has other angles, and so other states in all layers but the first: what was stored is then computed again, once, from
 * the text's embeddings, which are kept for that: {@code B S C} elements more than a {@link KvCache}.
 */
final class ReplayCache implements DecoderCache {
    private final KvCache stored;
    private Optional<History> history = Optional.empty();
    private boolean far;

    ReplayCache(KvCache stored) {
        this.stored = stored;
    }

    KvCache stored() {
        return stored;
    }

    /**
     * The text so far.
     *
     * @param embeds {@code [B, S, C]}
     * @param real which tokens are no padding, {@code [B][S]}
     * @param positions within the text, {@code [B][S]}
     * @param given which tokens are the instruction, {@code [B][S]}: of the first pass, whatever was read after it
     */
    record History(Tensor embeds, boolean[][] real, long[][] positions, boolean[][] given) {
        /** The text of one pass that comes after {@code past} tokens. */
        static History of(DecoderInput input, Tensor embeds, long past) {
            int batch = Math.toIntExact(input.batch());
            int time = Math.toIntExact(input.time());
            double[] mask = input.mask().map(Tensor::toDoubleArray).orElse(null);
            long[] at = input.positions().map(Tensor::toLongArray).orElse(null);
            double[] instruction = input.instruction().map(Tensor::toDoubleArray).orElse(null);
            boolean[][] given = new boolean[batch][time];
            boolean[][] real = new boolean[batch][time];
            long[][] positions = new long[batch][time];
            for (int b = 0; b < batch; b++) {
                for (int t = 0; t < time; t++) {
                    real[b][t] = mask == null || mask[b * time + t] != 0;
                    positions[b][t] = at == null ? past + t : at[b * time + t];
                    given[b][t] = past == 0 && (instruction == null || instruction[b * time + t] != 0);
                }
            }
            return new History(embeds, real, positions, given);
        }

        long length() {
            return embeds.size(1);
        }

        History plus(History o) {
            boolean[][] r = new boolean[real.length][];
            boolean[][] g = new boolean[real.length][];
            long[][] p = new long[real.length][];
            for (int b = 0; b < r.length; b++) {
                r[b] = Arrays.copyOf(real[b], real[b].length + o.real[b].length);
                g[b] = Arrays.copyOf(given[b], r[b].length);
                p[b] = Arrays.copyOf(positions[b], positions[b].length + o.positions[b].length);
                System.arraycopy(o.real[b], 0, r[b], real[b].length, o.real[b].length);
                System.arraycopy(o.positions[b], 0, p[b], positions[b].length, o.positions[b].length);
            }
            return new History(Var.concat(1, Var.constant(embeds), Var.constant(o.embeds)).tensor(), r, p, g);
        }

        History first(int length) {
            return new History(embeds.slice(1, 0, length).contiguous(),
                    Arrays.stream(real).map(r -> Arrays.copyOf(r, length)).toArray(boolean[][]::new),
                    Arrays.stream(positions).map(p -> Arrays.copyOf(p, length)).toArray(long[][]::new),
                    Arrays.stream(given).map(g -> Arrays.copyOf(g, length)).toArray(boolean[][]::new));
        }

        History rows(int[] rows) {
            Backend backend = embeds.backend();
            Tensor order = Tensor.of(backend, Arrays.stream(rows).asLongStream().toArray(), rows.length);
            Tensor taken = Tensor.empty(backend, embeds.dtype(), rows.length, length(), embeds.size(2));
            backend.gather(embeds.reshape(embeds.size(0), -1), order, taken.reshape(rows.length, -1));
            return new History(taken, Arrays.stream(rows).mapToObj(i -> real[i]).toArray(boolean[][]::new),
                    Arrays.stream(rows).mapToObj(i -> positions[i]).toArray(long[][]::new),
                    Arrays.stream(rows).mapToObj(i -> given[i]).toArray(boolean[][]::new));
        }

        /** All of it as the input of one pass. */
        DecoderInput input() {
            int batch = real.length;
            int time = Math.toIntExact(length());
            boolean[] mask = new boolean[batch * time];
            boolean[] instruction = new boolean[batch * time];
            long[] at = new long[batch * time];
            for (int b = 0; b < batch; b++) {
                System.arraycopy(real[b], 0, mask, b * time, time);
                System.arraycopy(positions[b], 0, at, b * time, time);
                System.arraycopy(given[b], 0, instruction, b * time, time);
            }
            return DecoderInput.of(Var.constant(embeds)).withMask(Tensor.of(embeds.backend(), mask, batch, time))
                    .withPositions(Tensor.of(embeds.backend(), at, batch, time))
                    .withInstruction(Tensor.of(embeds.backend(), instruction, batch, time));
        }
    }

    /** The text so far and {@code input} after it. */
    History with(DecoderInput input, Tensor embeds) {
        History newest = History.of(input, embeds, history.map(History::length).orElse(0L));
        return history.map(h -> h.plus(newest)).orElse(newest);
    }

    /** Whether what is stored was computed with other angles than {@code farther} asks for. */
    boolean isOutdated(boolean farther) {
        return history.isPresent() && far != farther;
    }

    /** Notes the text that is stored now, and which angles it has. */
    void note(History now, boolean farther) {
        replace(now);
        far = farther;
    }

    private void replace(History next) {
        Tensor own = Scope.detach(Tensor.empty(next.embeds().backend(), next.embeds().dtype(), next.embeds().shape()));
        own.copyFrom(next.embeds());
        history.ifPresent(h -> h.embeds().storage().free());
        history = Optional.of(new History(own, next.real(), next.positions(), next.given()));
    }

    @Override
    public void inBlocks(int size) {
        stored.inBlocks(size);
    }

    @Override
    public long length() {
        return stored.length();
    }

    @Override
    public long batch() {
        return stored.batch();
    }

    @Override
    public void truncate(long newLength) {
        long cut = stored.length() - newLength;
        stored.truncate(newLength);
        history.ifPresent(h -> replace(h.first(Math.toIntExact(Math.max(0, h.length() - cut)))));
    }

    @Override
    public void reorder(int[] rows) {
        stored.reorder(rows);
        history.ifPresent(h -> replace(h.rows(rows)));
    }

    @Override
    public void free() {
        stored.free();
        history.ifPresent(h -> h.embeds().storage().free());
        history = Optional.empty();
    }
}
