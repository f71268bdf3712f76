package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Where everything lies in one pass over a text: virtual tokens, padding, positions, and what sees what. Worked out
 * once, here.
 *
 * @param site where the text is embedded
 * @param time tokens of this pass, virtual ones included
 * @param virtualTokens the most of any row; rows with fewer begin with padding
 * @param positions {@code [B][time]}
 * @param real which tokens of this pass are no padding, {@code [B][time]}; null if all
 * @param visible which of the own and earlier keys a query sees
 * @param branches where rows hold several continuations of one text; virtual tokens are part of the trunk
 * @param given which tokens of the text are its instruction, {@code [B][T]}; null if all
 */
public record TokenLayout(EmbeddingSite site, long time, long virtualTokens, long[][] positions, boolean[][] real, Visible visible,
        Optional<Branches> branches, boolean[][] given) {

    /**
     * @param contextLength the most positions that the model has
     * @param causal whether a token sees only itself and those before it
     * @throws IllegalArgumentException if the text does not fit, or a mask or positions do not cover it
     */
    public static TokenLayout of(DecoderInput input, Pass pass, Optional<? extends DecoderCache> cache, int contextLength, EmbeddingSite site,
            boolean causal) {
        int batch = Math.toIntExact(input.batch());
        int text = Math.toIntExact(input.time());
        long past = cache.map(DecoderCache::length).orElse(0L);
        long[] own = new long[batch];
        long[] shift = new long[batch];
        long[] before = new long[batch];
        for (Group g : pass.groups()) {
            for (int b = 0; b < batch; b++) {
                if (g.rows().isEmpty() || g.rows().contains(b)) {
                    own[b] = g.virtualTokens(site.name());
                    shift[b] = g.segmentPositions(site.name());
                }
            }
        }
        Arrays.setAll(before, b -> cache.map(c -> c.before(b)).orElse(0L));
        long shared = Arrays.stream(before).max().orElse(0);
        long most = Arrays.stream(own).max().orElse(0);
        // A cache already holds the virtual tokens of its first pass.
        int virtual = past + shared == 0 ? Math.toIntExact(most) : 0;
        int time = virtual + text;
        boolean[][] real = real(input, own, virtual, text);
        long[][] positions = positions(input, own, shift, virtual, text, Arrays.stream(before).map(n -> n + past).toArray());
        // Where positions are given, padding before a text takes none of the context.
        long columns = shared + past + time + Arrays.stream(shift).max().orElse(0);
        long taken = 1 + Arrays.stream(positions).mapToLong(row -> Arrays.stream(row).max().orElse(0)).max().orElse(0);
        checkContext(input.positions().isEmpty() ? columns : Math.min(columns, taken), contextLength, text, shared + past);
        if (input.branches().isPresent() && (cache.isPresent() || !causal)) {
            throw new IllegalArgumentException("branches are read in one causal pass without a cache. Feed each text on its own.");
        }
        return new TokenLayout(site, time, virtual, positions, real, visible(input, cache, positions, real, past, time, causal),
                input.branches(), given(input));
    }

    private static void checkContext(long needed, int contextLength, int text, long past) {
        if (needed > contextLength) {
            throw new IllegalArgumentException(past + " tokens so far, " + text + " new ones and what the adapters add make "
                    + needed + " positions, but the model's context is " + contextLength
                    + " (max_position_embeddings). Shorten the text.");
        }
    }

    private static boolean[][] real(DecoderInput input, long[] own, int virtual, int text) {
        boolean padded = Arrays.stream(own).anyMatch(n -> n != virtual);
        if (input.mask().isEmpty() && !padded) {
            return null;
        }
        double[] mask = input.mask().map(Tensor::toDoubleArray).orElse(null);
        if (mask != null && mask.length != (long) own.length * text) {
            throw new IllegalArgumentException("the mask " + input.mask().get() + " does not cover [" + own.length + ", " + text + "]");
        }
        boolean[][] real = new boolean[own.length][virtual + text];
        boolean all = true;
        for (int b = 0; b < own.length; b++) {
            for (int t = 0; t < virtual + text; t++) {
                real[b][t] = t < virtual ? t >= virtual - own[b] : mask == null || mask[b * text + t - virtual] != 0;
                all &= real[b][t];
            }
        }
        return all ? null : real;
    }

    private static long[][] positions(DecoderInput input, long[] own, long[] shift, int virtual, int text, long[] past) {
        long[] given = input.positions().map(Tensor::toLongArray).orElse(null);
        if (given != null && given.length != (long) own.length * text) {
            throw new IllegalArgumentException("positions " + input.positions().get() + " do not cover [" + own.length + ", " + text + "]");
        }
        long most = Arrays.stream(own).max().orElse(0);
        long[][] p = new long[own.length][virtual + text];
        for (int b = 0; b < own.length; b++) {
            for (int t = 0; t < virtual + text; t++) {
                boolean explicit = t >= virtual && given != null;
                // Rows with fewer virtual tokens begin with padding, which takes no positions.
                p[b][t] = Math.max(0, explicit ? shift[b] + own[b] + given[b * text + t - virtual]
                        : shift[b] + past[b] + t - (most - own[b]));
            }
        }
        return p;
    }

    private static Visible visible(DecoderInput input, Optional<? extends DecoderCache> cache, long[][] positions, boolean[][] real,
            long past, int time, boolean causal) {
        Visible v = causal ? Visible.causal(past) : Visible.ALL;
        boolean[][] earlier = cache.map(c -> c instanceof KvCache keys ? keys.visible() : null).orElse(null);
        Backend backend = input.ids().map(Tensor::backend).orElseGet(() -> input.embeds().get().backend());
        if (real != null || earlier != null) {
            int keys = Math.toIntExact(past) + time;
            boolean[] mask = new boolean[positions.length * keys];
            for (int b = 0; b < positions.length; b++) {
                for (int s = 0; s < keys; s++) {
                    mask[b * keys + s] = s < past ? earlier == null || earlier[b][s] : real == null || real[b][s - (int) past];
                }
            }
            return v.withKeyMask(Tensor.of(backend, mask, positions.length, keys));
        }
        boolean packed = causal && cache.isEmpty() && input.branches().isEmpty() && input.mask().isEmpty() && input.positions().isPresent()
                && Arrays.stream(positions).anyMatch(TokenLayout::restarts);
        return packed ? v.withBias(Var.constant(textBoundaries(backend, positions, time))) : v;
    }

    /** Whether the positions of a row take a step other than +1. */
    private static boolean restarts(long[] positions) {
        for (int t = 1; t < positions.length; t++) {
            if (positions[t] != positions[t - 1] + 1) {
                return true;
            }
        }
        return false;
    }

    /**
     * Without a mask and a cache, every step in the positions other than +1 begins a new text, and texts do not see
     * each other: as transformers reads packed rows.
     */
    private static Tensor textBoundaries(Backend backend, long[][] positions, int time) {
        double[] bias = new double[positions.length * time * time];
        for (int b = 0; b < positions.length; b++) {
            int[] text = new int[time];
            for (int t = 1; t < time; t++) {
                text[t] = text[t - 1] + (positions[b][t] == positions[b][t - 1] + 1 ? 0 : 1);
            }
            for (int t = 0; t < time; t++) {
                for (int s = 0; s < time; s++) {
                    bias[(b * time + t) * time + s] = text[t] == text[s] ? 0 : Double.NEGATIVE_INFINITY;
                }
            }
        }
        return Tensor.of(backend, DType.F32, bias, positions.length, 1, time, time);
    }

    /**
     * Attention over {@code segments}, the own keys last; where there are branches, of each part of the row to what it sees.
     *
     * @param query {@code [B, H, T, D]}
     */
    public Var attend(AttentionSite at, Var query, List<Segment> segments, double scale, double softcap, Pass pass) {
        if (branches.isEmpty()) {
            return at.attend(query, segments, scale, softcap, pass);
        }
        Segment own = segments.getLast();
        long trunk = virtualTokens + branches.get().trunk();
        List<Var> parts = new ArrayList<>();
        long from = 0;
        for (int end : branches.get().ends()) {
            long to = virtualTokens + end;
            List<Segment> seen = new ArrayList<>();
            for (Segment s : segments.subList(0, segments.size() - 1)) {
                // Behind the trunk every branch stands at the same place.
                seen.add(s.forQueries(from, to).keys(0, s.key().size(2), s.visible().offset() + (from == 0 ? 0 : trunk)));
            }
            if (from > 0) {
                seen.add(own.forQueries(from, to).keys(0, trunk, trunk));
            }
            seen.add(own.forQueries(from, to).keys(from, to, 0));
            parts.add(at.attend(query.slice(2, from, to), seen, scale, softcap, pass, "." + parts.size()));
            from = to;
        }
        return Var.concat(2, parts.toArray(Var[]::new));
    }

    /** Puts each row's virtual tokens before its text: {@code [B, T, C] -> [B, virtual + T, C]}. */
    public Var withVirtualTokens(Var text, Pass pass) {
        if (virtualTokens == 0) {
            return text;
        }
        return pass.perGroup(new Var[] {text, instruction(text)}, (v, g) -> {
            VirtualTokens.Text behind = new VirtualTokens.Text(v[0], v[1]);
            List<Var> parts = new ArrayList<>();
            long missing = virtualTokens - g.virtualTokens(site.name());
            if (missing > 0) {
                parts.add(Var.constant(Tensor.zeros(text.backend(), text.dtype(), v[0].size(0), missing, v[0].size(2))));
            }
            Pass alone = alone(pass, g);
            g.tokensAt(site.name()).forEach(own -> parts.add(forRows(own.rows(behind, alone), own.count(), v[0])));
            parts.add(v[0]);
            return new Var[] {Var.concat(1, parts.toArray(Var[]::new))};
        })[0];
    }

    /** What block {@code layer} reads of {@code h [B, virtual + T, C]}: some virtual tokens are made anew before every block. */
    public Var beforeBlock(int layer, Var h, Pass pass) {
        if (virtualTokens == 0 || layer == 0 || pass.groups().stream().noneMatch(this::isLayered)) {
            return h;
        }
        return pass.perGroup(new Var[] {h, instruction(h.slice(1, virtualTokens, time))}, (v, g) -> {
            if (!isLayered(g)) {
                return new Var[] {v[0]};
            }
            VirtualTokens.Text behind = new VirtualTokens.Text(v[0].slice(1, virtualTokens, time), v[1]);
            List<Var> parts = new ArrayList<>();
            long at = virtualTokens - g.virtualTokens(site.name());
            if (at > 0) {
                parts.add(v[0].slice(1, 0, at));
            }
            for (VirtualTokens own : g.tokensAt(site.name())) {
                Var old = v[0].slice(1, at, at + own.count());
                parts.add(own.rows(layer, behind, alone(pass, g)).map(rows -> forRows(rows, own.count(), behind.states())).orElse(old));
                at += own.count();
            }
            parts.add(behind.states());
            return new Var[] {Var.concat(1, parts.toArray(Var[]::new))};
        })[0];
    }

    /** What adapters of a group see: their own rows alone. */
    private static Pass alone(Pass pass, Group g) {
        return pass.isUniform() ? pass : pass.within(g);
    }

    private boolean isLayered(Group g) {
        return g.tokensAt(site.name()).stream().anyMatch(VirtualTokens::areLayered);
    }

    /** {@code rows [count, C]} or {@code [B, count, C]} for each row of the text. */
    private static Var forRows(Var rows, long count, Var text) {
        long[] wanted = {text.size(0), count, text.size(2)};
        boolean shared = Arrays.equals(rows.shape(), new long[] {count, text.size(2)});
        if (!shared && !Arrays.equals(rows.shape(), wanted)) {
            throw new IllegalStateException("virtual tokens of shape " + Arrays.toString(rows.shape()) + ", expected "
                    + Arrays.toString(wanted) + " or one [" + count + ", " + text.size(2) + "] for all rows");
        }
        return shared ? rows.reshape(1, count, text.size(2)).expandTo(wanted) : rows;
    }

    /** 1 where the text is given, {@code [B, T]}. */
    private Var instruction(Var text) {
        int batch = Math.toIntExact(text.size(0));
        int length = Math.toIntExact(text.size(1));
        double[] values = new double[batch * length];
        for (int i = 0; i < values.length; i++) {
            int b = i / length;
            int t = i % length;
            values[i] = (given == null || given[b][t]) && (real == null || real[b][(int) virtualTokens + t]) ? 1 : 0;
        }
        return Var.constant(Tensor.of(text.backend(), text.dtype(), values, batch, length));
    }

    private static boolean[][] given(DecoderInput input) {
        if (input.instruction().isEmpty()) {
            return null;
        }
        int batch = Math.toIntExact(input.batch());
        int time = Math.toIntExact(input.time());
        double[] values = input.instruction().get().toDoubleArray();
        if (values.length != batch * time) {
            throw new IllegalArgumentException("the instruction " + input.instruction().get() + " does not cover [" + batch + ", " + time + "]");
        }
        boolean[][] given = new boolean[batch][time];
        for (int i = 0; i < values.length; i++) {
            given[i / time][i % time] = values[i] != 0;
        }
        return given;
    }
}
