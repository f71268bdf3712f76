package dev.jotune.cuda;

import dev.jotune.cuda.GroupedSources.Gradients;
import dev.jotune.cuda.GroupedSources.Rows;
import dev.jotune.cuda.GroupedSources.Runs;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Low-rank terms of rows with adapters of their own, and their gradients. Kernels find adapters through tables of addresses, which go to the
 * device once as long as nothing moves.
 *
 * <p>A group for each row reads an adapter as often as it has rows; a group for each run of {@link Runs#ROWS} reads it once for
 * these, and there are fewer groups. So runs are taken where rows share adapters and would fill the device more than once by
 * themselves.
 */
final class CudaGroupedLowRank implements GroupedLowRankKernel {
    /** As in the texts: scores in shared memory. */
    private static final long MOST_RANK = 256;
    private static final long LARGEST = 1 << 30;
    private static final int FOUR = 4;
    /** Tables that stay on the device: more than a model has layers with adapters. */
    private static final int TABLES = 1024;

    private final CudaBackend device;
    private final Form form;
    private final Map<Content, Tensor> tables = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Content, Tensor> eldest) {
            // Freed by the collector: a thread may be about to launch with it.
            return size() > TABLES;
        }
    };

    /** What groups are for: as reasoned above, or always the same, for tests. */
    enum Form { CHOSEN, ROWS, RUNS }

    CudaGroupedLowRank(CudaBackend device) {
        this(device, Form.CHOSEN);
    }

    CudaGroupedLowRank(CudaBackend device, Form form) {
        this.device = device;
        this.form = form;
    }

    /** The numbers of a table, by value. */
    private record Content(long[] numbers) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Content c && Arrays.equals(numbers, c.numbers);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(numbers);
        }
    }

    /**
     * A batch's adapters and rows.
     *
     * @param tiles groups that a launch of runs has; 0: a group for each row
     * @param table on the device
     */
    private record Ready(List<Factors> adapters, int[] rows, long rank, int tiles, Tensor table) implements Plan {}

    /** Rows by adapter, in their order. */
    private record Sorted(long[] list, int[] first) {
        static Sorted of(int adapters, int[] rows) {
            int[] first = new int[adapters + 1];
            Arrays.stream(rows).filter(g -> g >= 0).forEach(g -> first[g + 1]++);
            Arrays.parallelPrefix(first, Integer::sum);
            long[] list = new long[first[adapters]];
            int[] next = first.clone();
            for (int i = 0; i < rows.length; i++) {
                if (rows[i] >= 0) {
                    list[next[rows[i]]++] = i;
                }
            }
            return new Sorted(list, first);
        }

        int count(int adapter) {
            return first[adapter + 1] - first[adapter];
        }

        /** For each group where its rows begin, how many there are, and their adapter. */
        long[] tiles() {
            LongStream.Builder all = LongStream.builder();
            for (int g = 0; g + 1 < first.length; g++) {
                for (int at = 0; at < count(g); at += Runs.ROWS) {
                    all.add(first[g] + at).add(Math.min(Runs.ROWS, count(g) - at)).add(g);
                }
            }
            return all.build().toArray();
        }
    }

    @Override
    public boolean supports(List<Factors> adapters) {
        Factors one = adapters.getFirst();
        return narrow(one.down().dtype()) && narrow(one.up().dtype()) && one.down().size(1) < LARGEST && one.up().size(0) < LARGEST
                && adapters.stream().allMatch(f -> f.rank() <= MOST_RANK && f.down().numel() > 0 && f.up().numel() > 0
                && f.down().dtype() == one.down().dtype() && f.up().dtype() == one.up().dtype()
                && f.down().backend() == device && f.up().backend() == device);
    }

    private static boolean narrow(DType type) {
        return type == DType.F32 || type == DType.BF16 || type == DType.F16;
    }

    @Override
    public Plan plan(List<Factors> adapters, int[] rows) {
        GroupedLowRankKernel.check(adapters, rows);
        if (!supports(adapters)) {
            throw new IllegalArgumentException("Adapters " + adapters + " cannot be multiplied in one launch. Ask supports first: it takes ranks "
                    + "up to " + MOST_RANK + ", on this device, all A of one type and all B.");
        }
        Sorted sorted = Sorted.of(adapters.size(), rows);
        long[] tiles = sorted.tiles();
        int groups = tiles.length / 3;
        boolean shared = sorted.list.length >= 2 * groups && sorted.list.length >= device.units();
        boolean runs = form == Form.RUNS || form == Form.CHOSEN && shared;
        LongStream factors = adapters.stream().flatMapToLong(f -> LongStream.of(device.address(f.down()), f.down().stride(0), f.down().stride(1),
                device.address(f.up()), f.up().stride(0), f.up().stride(1), f.rank(), Float.floatToRawIntBits((float) f.scale())));
        LongStream walk = runs ? LongStream.concat(Arrays.stream(tiles), Arrays.stream(sorted.list)) : Arrays.stream(rows).asLongStream();
        long rank = adapters.stream().mapToLong(Factors::rank).max().orElse(0);
        return new Ready(List.copyOf(adapters), rows.clone(), rank, runs ? groups : 0, table(LongStream.concat(factors, walk).toArray()));
    }

    private Tensor table(long... numbers) {
        synchronized (tables) {
            return tables.computeIfAbsent(new Content(numbers), c -> {
                Tensor t = Scope.detach(Tensor.empty(device, DType.I64, Math.max(1, numbers.length)));
                if (numbers.length > 0) {
                    device.write(t, MemorySegment.ofArray(numbers));
                }
                return t;
            });
        }
    }

    @Override
    public void add(Plan plan, Tensor x, Optional<Tensor> scores, Optional<Tensor> y) {
        Ready p = own(plan);
        long in = p.adapters.getFirst().down().size(1);
        long out = p.adapters.getFirst().up().size(0);
        check(x, "x", p.rows.length, in, !narrow(x.dtype()));
        scores.ifPresent(s -> check(s, "scores", p.rows.length, p.rank, wrong(s)));
        y.ifPresent(t -> check(t, "y", p.rows.length, out, wrong(t)));
        Tensor to = y.or(() -> scores).orElseThrow(() -> new IllegalArgumentException("Neither scores nor y are wanted of this product. Give one."));
        boolean runs = p.tiles > 0;
        if (p.rows.length == 0 || !runs && Arrays.stream(p.rows).allMatch(g -> g < 0)) {
            return;
        }
        boolean vector = fours(x) && p.adapters.stream().allMatch(f -> fours(f.down()));
        boolean upVector = p.adapters.stream().allMatch(f -> fours(f.up()));
        Factors one = p.adapters.getFirst();
        CudaSource kernel = runs ? new Runs(x.dtype(), one.down().dtype(), one.up().dtype(), vector, upVector, scores.isPresent()).source()
                : new Rows(x.dtype(), one.down().dtype(), one.up().dtype(), vector, upVector, scores.isPresent()).source();
        List<Object> arguments = new ArrayList<>(List.of(x, p.table, to));
        scores.ifPresent(arguments::add);
        arguments.addAll(List.of(p.adapters.size(), y.isPresent() ? out : 0, in, x.stride(0), x.stride(1), to.stride(0), to.stride(1)));
        scores.ifPresent(s -> arguments.add(s.stride(0)));
        device.launch(kernel, runs ? p.tiles : p.rows.length, 1, 1, arguments.toArray());
    }

    @Override
    public List<Tensor> gradients(Plan plan, Tensor x, Tensor dy, Tensor scores, Tensor back) {
        Ready p = own(plan);
        Sorted sorted = Sorted.of(p.adapters.size(), p.rows);
        long[] ranks = p.adapters.stream().mapToLong(Factors::rank).toArray();
        int[] counts = IntStream.range(0, ranks.length).map(sorted::count).toArray();
        return gradients(x, dy, scores, back, ranks, counts, sorted.first, Optional.of(sorted.list));
    }

    @Override
    public List<Tensor> gradients(Tensor x, Tensor dy, Tensor scores, Tensor back) {
        return gradients(x, dy, scores, back, new long[] {scores.size(1)}, new int[] {Math.toIntExact(x.size(0))}, new int[1], Optional.empty());
    }

    private List<Tensor> gradients(Tensor x, Tensor dy, Tensor scores, Tensor back, long[] ranks, int[] counts, int[] first,
            Optional<long[]> list) {
        long rows = x.size(0);
        long rank = Arrays.stream(ranks).max().orElse(0);
        check(x, "x", rows, x.size(1), wrong(x) || x.stride(1) != 1);
        check(dy, "dy", rows, dy.size(1), wrong(dy) || dy.stride(1) != 1);
        check(scores, "scores", rows, rank, wrong(scores) || !padded(scores));
        check(back, "the scores of the way back", rows, rank, wrong(back) || !padded(back));
        long wide = x.size(1) + dy.size(1);
        Tensor all = Tensor.empty(device, DType.F32, Arrays.stream(ranks).sum() * wide);
        List<Tensor> down = new ArrayList<>();
        List<Tensor> up = new ArrayList<>();
        LongStream.Builder numbers = LongStream.builder();
        long at = 0;
        for (int g = 0; g < ranks.length; g++) {
            numbers.add(ranks[g]).add(first[g]).add(counts[g]).add(at);
            down.add(all.slice(0, at, at + ranks[g] * x.size(1)).reshape(ranks[g], x.size(1)));
            up.add(all.slice(0, at + ranks[g] * x.size(1), at + ranks[g] * wide).reshape(ranks[g], dy.size(1)));
            at += ranks[g] * wide;
        }
        Tensor table = table(LongStream.concat(numbers.build(), Arrays.stream(list.orElse(new long[0]))).toArray());
        device.launch(new Gradients(list.isPresent()).source(), Gradients.slabs(x.size(1)) + Gradients.slabs(dy.size(1)), Gradients.chunks(rank),
                ranks.length, x, dy, scores, back, table, all, ranks.length, x.size(1), dy.size(1), x.stride(0), dy.stride(0), scores.stride(0),
                back.stride(0));
        down.addAll(up);
        return down;
    }

    private static Ready own(Plan plan) {
        if (plan instanceof Ready p) {
            return p;
        }
        throw new IllegalArgumentException("The plan was made by another kernel, as " + plan.getClass().getSimpleName() + ". Make it with this one.");
    }

    private static boolean wrong(Tensor t) {
        return t.dtype() != DType.F32;
    }

    /** Whether lines may be read up to a multiple of {@link #SCORES}, by fours. */
    private static boolean padded(Tensor t) {
        return t.stride(1) == 1 && t.offset() % FOUR == 0 && t.stride(0) % FOUR == 0 && t.stride(0) >= (t.size(1) + SCORES - 1) / SCORES * SCORES;
    }

    private static void check(Tensor t, String what, long rows, long columns, boolean wrong) {
        if (wrong || t.rank() != 2 || t.size(0) != rows || t.size(1) != columns) {
            throw new IllegalArgumentException("As " + what + " of rows with adapters of their own came " + t + ". Give [" + rows + ", " + columns
                    + "] as the kernel's interface says.");
        }
    }

    private static boolean fours(Tensor t) {
        return t.stride(1) == 1 && t.size(1) % FOUR == 0 && t.offset() % FOUR == 0 && (t.size(0) == 1 || t.stride(0) % FOUR == 0);
    }
}
