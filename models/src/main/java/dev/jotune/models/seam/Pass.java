package dev.jotune.models.seam;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * One forward pass: which rows run under which adapters, and the randomness of training.
 *
 * @param groups at least one; together they cover the rows of the batch, each row once
 * @param training whether dropout is on
 * @param seed of the run
 * @param step of the run: with the seed it fixes all noise of the pass
 * @param text what is being read, where that is known to be tokens; models say it
 * @param before how many positions of an activation come before the text's own: virtual tokens, or padding in their place; models say it
 * @param precision of attention's products; models say it
 */
public record Pass(List<Group> groups, boolean training, long seed, long step, Optional<Text> text, long before,
        Precision precision) {
    /**
     * The tokens that a pass reads.
     *
     * @param ids I64 {@code [B, T]}; activations of the text have virtual tokens before these
     * @param rows which rows of it the reader sees; empty means all rows
     */
    public record Text(Tensor ids, List<Integer> rows) {
        /** The ids of the reader's rows. */
        public long[][] tokens() {
            int time = Math.toIntExact(ids.size(1));
            long[] all = ids.toLongArray();
            IntStream seen = rows.isEmpty() ? IntStream.range(0, Math.toIntExact(ids.size(0))) : rows.stream().mapToInt(i -> i);
            return seen.mapToObj(row -> Arrays.copyOfRange(all, row * time, (row + 1) * time)).toArray(long[][]::new);
        }
    }

    public Pass(List<Group> groups, boolean training, long seed, long step) {
        this(groups, training, seed, step, Optional.empty(), 0, Precision.F32);
    }

    /**
     * This pass over a text behind {@code virtual} positions; where the input is embeddings, nobody knows which tokens they are.
     *
     * @param products how exactly attention reads the operands of its products
     */
    public Pass reading(Optional<Tensor> ids, long virtual, Precision products) {
        return new Pass(groups, training, seed, step, ids.map(i -> new Text(i, List.of())), virtual, products);
    }

    /** All rows under the same adapters, no dropout. */
    public static Pass inference(List<Hooks> hooks) {
        return new Pass(List.of(Group.all(hooks)), false, 0, 0);
    }

    /** All rows under the same adapters, with dropout noise of (seed, step). */
    public static Pass training(List<Hooks> hooks, long seed, long step) {
        return new Pass(List.of(Group.all(hooks)), true, seed, step);
    }

    /** Row i under the adapters {@code perRow.get(i)}; rows with equal adapters become one group. */
    public static Pass rows(List<List<Hooks>> perRow) {
        List<List<Hooks>> kinds = new ArrayList<>();
        List<List<Integer>> rows = new ArrayList<>();
        for (int i = 0; i < perRow.size(); i++) {
            int k = kinds.indexOf(perRow.get(i));
            if (k < 0) {
                k = kinds.size();
                kinds.add(perRow.get(i));
                rows.add(new ArrayList<>());
            }
            rows.get(k).add(i);
        }
        if (kinds.size() == 1) {
            return inference(kinds.getFirst());
        }
        List<Group> groups = new ArrayList<>();
        for (int k = 0; k < kinds.size(); k++) {
            groups.add(new Group(List.copyOf(rows.get(k)), List.copyOf(kinds.get(k))));
        }
        return new Pass(groups, false, 0, 0);
    }

    /** Row i as row {@code rows[i]} is now: for a batch whose rows are copied, dropped or put in another order. */
    public Pass reordered(int... rows) {
        if (isUniform()) {
            return this;
        }
        Pass p = rows(Arrays.stream(rows).mapToObj(row -> groups.stream().filter(g -> g.rows().contains(row)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("the pass has no row " + row)).hooks()).toList());
        return new Pass(p.groups(), training, seed, step);
    }

    /** True if all rows run under the same adapters. */
    public boolean isUniform() {
        return groups.size() == 1;
    }

    /** This pass for the rows of one of its groups alone. */
    public Pass within(Group group) {
        return new Pass(List.of(Group.all(group.hooks())), training, seed, step,
                group.rows().isEmpty() ? text : text.map(t -> new Text(t.ids(), group.rows())), before, precision);
    }

    /** This pass with its rows in other groups. */
    Pass with(List<Group> others) {
        return new Pass(others, training, seed, step, text, before, precision);
    }

    /** A number for the noise of one use in this pass: equal names give equal noise. */
    public long stream(String use) {
        long h = 0xcbf29ce484222325L;
        for (int i = 0; i < use.length(); i++) {
            h = (h ^ use.charAt(i)) * 0x100000001b3L;
        }
        return h * 31 + step;
    }

    /** Applies {@code f} to the rows of each group of {@code x [B, ..]} and puts the results back in order. */
    public Var perGroup(Var x, BiFunction<Var, Group, Var> f) {
        return perGroup(new Var[] {x}, (v, g) -> new Var[] {f.apply(v[0], g)})[0];
    }

    /** As {@link #perGroup(Var, BiFunction)}, for functions of several values {@code [B, ..]} with several results. */
    public Var[] perGroup(Var[] x, BiFunction<Var[], Group, Var[]> f) {
        if (isUniform()) {
            return f.apply(x, groups.getFirst());
        }
        List<Var[]> parts = new ArrayList<>();
        Integer[] order = new Integer[Math.toIntExact(x[0].size(0))];
        int at = 0;
        for (Group g : groups) {
            parts.add(f.apply(Arrays.stream(x).map(v -> take(v, g.rows())).toArray(Var[]::new), g));
            for (int row : g.rows()) {
                order[row] = at++;
            }
        }
        Var[] out = new Var[parts.getFirst().length];
        for (int i = 0; i < out.length; i++) {
            int k = i;
            out[i] = take(Var.concat(0, parts.stream().map(p -> p[k]).toArray(Var[]::new)), List.of(order));
        }
        return out;
    }

    /** Rows of {@code x} by number: a view where they are neighbours. */
    private static Var take(Var x, List<Integer> rows) {
        int first = rows.getFirst();
        boolean run = true;
        for (int i = 0; i < rows.size(); i++) {
            run &= rows.get(i) == first + i;
        }
        if (run) {
            return x.slice(0, first, first + rows.size());
        }
        long[] shape = x.shape();
        Tensor ids = Tensor.of(x.backend(), rows.stream().mapToLong(Integer::longValue).toArray(), rows.size());
        shape[0] = rows.size();
        return Lookup.gather(x.reshape(x.size(0), -1), ids).reshape(shape);
    }

    /**
     * Runs a forward pass whose gradients are asked for once, as in a training step: see {@link Recording#once}. Where
     * taps may hold on to activations everything is kept.
     */
    public <T> T once(Supplier<T> body) {
        boolean tapped = groups.stream().flatMap(g -> g.hooks().stream()).anyMatch(h -> !h.taps().isEmpty());
        return tapped ? body.get() : Recording.once(body);
    }

    /** Whether any adapter of the pass holds this tap. */
    public boolean isTapped(String name) {
        for (Group g : groups) {
            for (Hooks h : g.hooks()) {
                if (h.taps().containsKey(name)) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Whether any adapter of the pass takes a step at this attention. */
    boolean hasStep(AttentionSite site) {
        for (Group g : groups) {
            for (Hooks h : g.hooks()) {
                if (h.segments().isPresent() && h.segments().get().step(site).isPresent()) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Lets the taps of each group see and change the activation {@code x [B, ..]}. */
    public Var tap(String name, Var x) {
        return isTapped(name) ? perGroup(x, (rows, g) -> tap(name, rows, Optional.empty(), g)) : x;
    }

    /** The same for what a part of the model made of {@code read [B, ..]}. */
    public Var tap(String name, Var x, Var read) {
        return isTapped(name) ? perGroup(new Var[] {x, read}, (v, g) -> new Var[] {tap(name, v[0], Optional.of(v[1]), g)})[0] : x;
    }

    private Var tap(String name, Var x, Optional<Var> read, Group g) {
        Pass own = within(g);
        Var v = x;
        for (Hooks h : g.hooks()) {
            Tap tap = h.taps().get(name);
            if (tap != null) {
                Var out = tap.apply(name, v, new Tap.At(own, read, h));
                if (!Arrays.equals(out.shape(), v.shape())) {
                    throw new IllegalStateException("the tap of adapter '" + h.name() + "' at " + name + " changed the shape from "
                            + Arrays.toString(v.shape()) + " to " + Arrays.toString(out.shape()));
                }
                v = out;
            }
        }
        return v;
    }

    /** The segments that adapters add to each attention over {@code batch} rows; rows of other groups do not see them. */
    public List<List<Attention.Segment>> segments(List<AttentionSite> sites, long batch) {
        return segments(sites, batch, "", (site, s, before) -> s);
    }

    /** What a model makes of a segment whose keys stand at positions before the text. */
    @FunctionalInterface
    public interface Placement {
        /** @param before positions from the segment's first key to the first entry of the input, be that text, virtual or padding */
        Attention.Segment place(AttentionSite site, Attention.Segment segment, long before);
    }

    /**
     * As {@link #segments(List, long)}, for models whose attention depends on distances.
     *
     * @param embedding the site whose input the positions precede
     * @param placement applied to the segments of adapters that stand for positions there
     */
    public List<List<Attention.Segment>> segments(List<AttentionSite> sites, long batch, String embedding, Placement placement) {
        List<List<Attention.Segment>> out = new ArrayList<>();
        sites.forEach(s -> out.add(new ArrayList<>()));
        long most = groups.stream().mapToLong(g -> g.virtualTokens(embedding)).max().orElse(0);
        for (Group g : groups) {
            // Rows with fewer virtual tokens than others begin with padding, which lies at no distance.
            long before = g.segmentPositions(embedding) - (most - g.virtualTokens(embedding));
            for (Hooks h : g.hooks()) {
                if (h.segments().isEmpty()) {
                    continue;
                }
                List<List<Attention.Segment>> added = h.segments().get().segments(sites, isUniform() ? this : within(g));
                long positions = h.segments().get().positions(embedding);
                for (int i = 0; i < out.size(); i++) {
                    long first = before;
                    for (Attention.Segment s : added.get(i)) {
                        Attention.Segment placed = positions > 0 ? placement.place(sites.get(i), s, first) : s;
                        out.get(i).add(g.rows().isEmpty() ? placed : onlyFor(g.rows(), placed, batch));
                        first -= s.key().size(2);
                    }
                }
                before -= positions;
            }
        }
        return out;
    }

    private static Attention.Segment onlyFor(List<Integer> rows, Attention.Segment s, long batch) {
        int keys = Math.toIntExact(s.key().size(2));
        boolean[] see = new boolean[Math.toIntExact(batch) * keys];
        Optional<Tensor> mask = s.visible().keyMask();
        double[] before = mask.map(Tensor::toDoubleArray).orElse(null);
        for (int r = 0; r < rows.size(); r++) {
            for (int k = 0; k < keys; k++) {
                see[rows.get(r) * keys + k] = before == null || before[before.length == keys ? k : r * keys + k] != 0;
            }
        }
        return new Attention.Segment(spread(s.key(), rows, batch), spread(s.value(), rows, batch),
                s.visible().withKeyMask(Tensor.of(s.key().backend(), see, batch, keys)));
    }

    /** What each row of a group has of its own, {@code [rows, ..]}, where these rows lie in the batch; others have zeros. */
    private static Var spread(Var own, List<Integer> rows, long batch) {
        if (own.size(0) == 1) {
            return own;
        }
        List<Integer> order = new ArrayList<>();
        for (int b = 0; b < batch; b++) {
            order.add(rows.contains(b) ? rows.indexOf(b) : rows.size());
        }
        return take(own.pad(0, 0, 1), order);
    }
}
