package dev.jotune.peft.objectives;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.models.Branches;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.train.Example;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * The labelled tokens of a batch of texts, M of N texts, and the states that predict them.
 *
 * @param states {@code [M, C]}
 * @param labels I64 {@code [M]}
 * @param text of each label, its text's number
 * @param texts N
 * @param columns how many columns of tokens the model read, padding included
 */
record Labelled(Var states, Tensor labels, long[] text, int texts, long columns) {
    /**
     * Runs the model over groups of texts, answers to one prompt each. Texts are numbered group by group.
     *
     * @param shared whether the texts of a group share the columns of what they begin with, see {@link Branches}; where the
     *     model cannot, or groups differ in size or begin differently, each text has a row of its own
     */
    static Labelled of(CausalLm model, List<List<Example>> groups, boolean shared, Pass pass) {
        int trunk = groups.stream().mapToInt(Labelled::common).min().orElse(0);
        int size = groups.getFirst().size();
        // What virtual tokens are made of must be the trunk in the branches' own rows too.
        boolean asked = readsText(model, pass);
        boolean fits = groups.stream().allMatch(g -> g.size() == size
                && g.stream().allMatch(e -> e.length() > common(g) && (!asked || known(e) == common(g))));
        if (!shared || trunk == 0 || size < 2 || !fits || !model.readsBranches()) {
            return rows(model, groups.stream().flatMap(List::stream).toList(), pass);
        }
        // Padding would lie between virtual tokens and the text, where windows count it: then each length has a pass of its own.
        boolean together = virtualTokens(model, pass) == 0;
        Map<Integer, List<Integer>> parts = IntStream.range(0, groups.size()).boxed()
                .collect(Collectors.groupingBy(g -> together ? trunk : common(groups.get(g)), TreeMap::new, Collectors.toList()));
        return parts.entrySet().stream().map(part -> branched(model, groups, part.getValue(), apart(pass, part.getKey() - trunk)))
                .reduce(Labelled::and).orElseThrow();
    }

    /** A pass with noise of its own for a part of a batch: the part's number lies above all steps. */
    private static Pass apart(Pass pass, int part) {
        return new Pass(pass.groups(), pass.training(), pass.seed(), pass.step() + ((long) part << 40), pass.text(), pass.before(), pass.precision());
    }

    private Labelled and(Labelled more) {
        return new Labelled(Var.concat(0, states, more.states),
                Tensor.of(labels.backend(), joined(labels.toLongArray(), more.labels.toLongArray()), labels.numel() + more.labels.numel()),
                joined(text, more.text), texts, columns + more.columns);
    }

    private static long[] joined(long[] a, long[] b) {
        return LongStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
    }

    /** How many tokens the texts of a group have in common before the first label of any. */
    private static int common(List<Example> group) {
        Example first = group.getFirst();
        int n = first.length();
        for (Example e : group) {
            int same = Arrays.mismatch(first.ids(), e.ids());
            n = Math.min(n, same < 0 ? e.length() : same);
            for (int t = 0; t < n; t++) {
                n = e.labels()[t] == Example.IGNORED ? n : t;
            }
        }
        return n;
    }

    /** How many tokens of a text come before its first label. */
    private static int known(Example e) {
        int n = 0;
        while (n < e.length() && e.labels()[n] == Example.IGNORED) {
            n++;
        }
        return n;
    }

    /** A table of columns to fill: ids, mask, positions and instruction of B rows. */
    private static final class Table {
        private final int rows;
        private final int time;
        private final long[] ids;
        private final long[] mask;
        private final long[] positions;
        private final boolean[] given;

        Table(int rows, int time) {
            this.rows = rows;
            this.time = time;
            ids = new long[rows * time];
            mask = new long[rows * time];
            positions = new long[rows * time];
            given = new boolean[rows * time];
        }

        /** Puts tokens {@code from} to {@code to} of a text at a column. */
        void put(int row, int column, Example e, int from, int to) {
            for (int t = from; t < to; t++) {
                int at = row * time + column + t - from;
                ids[at] = e.ids()[t];
                mask[at] = 1;
                positions[at] = t;
            }
        }

        /** Says that columns {@code from} to {@code to} of a row are its instruction. */
        void instruct(int row, int from, int to) {
            Arrays.fill(given, row * time + from, row * time + to, true);
        }

        DecoderInput input(CausalLm model) {
            return DecoderInput.of(Tensor.of(model.backend(), ids, rows, time), Tensor.of(model.backend(), mask, rows, time))
                    .withInstruction(Tensor.of(model.backend(), given, rows, time));
        }

        Tensor positions(CausalLm model) {
            return Tensor.of(model.backend(), positions, rows, time);
        }
    }

    /** Collects which column predicts which label. */
    private static final class Labels {
        private final List<long[]> found = new ArrayList<>();

        /** @param before the column of the token before the label */
        void add(long row, long before, int label, int text) {
            found.add(new long[] {row, before, label, text});
        }

        Labelled of(CausalLm model, DecoderInput input, Pass pass, int texts) {
            Hidden hidden = model.forward(input, pass, Optional.empty());
            long time = hidden.states().size(1);
            long[] at = found.stream().mapToLong(f -> f[0] * time + hidden.virtualTokens() + f[1]).toArray();
            Var states = Lookup.gather(hidden.states().reshape(-1, hidden.states().size(2)), Tensor.of(model.backend(), at, at.length));
            return new Labelled(states, Tensor.of(model.backend(), found.stream().mapToLong(f -> f[2]).toArray(), at.length),
                    found.stream().mapToLong(f -> f[3]).toArray(), texts, input.batch() * input.time());
        }
    }

    private static Labelled rows(CausalLm model, List<Example> texts, Pass pass) {
        Table table = new Table(texts.size(), texts.stream().mapToInt(Example::length).max().orElseThrow());
        Labels labels = new Labels();
        int first = firstLabel(model, pass);
        for (int n = 0; n < texts.size(); n++) {
            Example e = texts.get(n);
            table.put(n, 0, e, 0, e.length());
            table.instruct(n, 0, Math.max(1, known(e)));
            for (int t = first; t < e.length(); t++) {
                if (e.labels()[t] != Example.IGNORED) {
                    labels.add(n, t - 1, e.labels()[t], n);
                }
            }
        }
        return labels.of(model, table.input(model), pass, texts.size());
    }

    /** Only virtual tokens predict a text's first token, and none that have read it. */
    private static int firstLabel(CausalLm model, Pass pass) {
        return virtualTokens(model, pass) > 0 && !readsText(model, pass) ? 0 : 1;
    }

    private static long virtualTokens(CausalLm model, Pass pass) {
        return pass.groups().getFirst().virtualTokens(model.input().name());
    }

    private static boolean readsText(CausalLm model, Pass pass) {
        return pass.groups().getFirst().readsText(model.input().name());
    }

    /** @param numbers the groups to read */
    private static Labelled branched(CausalLm model, List<List<Example>> all, List<Integer> numbers, Pass pass) {
        List<List<Example>> groups = numbers.stream().map(all::get).toList();
        int[] common = groups.stream().mapToInt(Labelled::common).toArray();
        int trunk = Arrays.stream(common).max().orElseThrow();
        int size = groups.getFirst().size();
        int[] lengths = new int[size];
        for (int g = 0; g < common.length; g++) {
            for (int i = 0; i < size; i++) {
                lengths[i] = Math.max(lengths[i], groups.get(g).get(i).length() - common[g]);
            }
        }
        Branches branches = new Branches(trunk, Arrays.stream(lengths).boxed().toList());
        Table table = new Table(groups.size(), branches.time());
        Labels labels = new Labels();
        for (int g = 0; g < common.length; g++) {
            int p = common[g];
            table.put(g, trunk - p, groups.get(g).getFirst(), 0, p);
            table.instruct(g, trunk - p, trunk);
            for (int i = 0; i < size; i++) {
                Example e = groups.get(g).get(i);
                int column = branches.ends()[i];
                table.put(g, column, e, p, e.length());
                for (int t = p; t < e.length(); t++) {
                    if (e.labels()[t] != Example.IGNORED) {
                        // The trunk's last state predicts the first token of every branch.
                        labels.add(g, t == p ? trunk - 1 : column + t - p - 1, e.labels()[t], numbers.get(g) * size + i);
                    }
                }
            }
        }
        DecoderInput input = table.input(model).withPositions(table.positions(model)).withBranches(branches);
        return labels.of(model, input, pass, all.size() * size);
    }

    /** The log-probability of each label, {@code [M]}. */
    Var logProbabilities(CausalLm model, Pass pass) {
        return model.losses(states, labels, pass).neg();
    }

    /** Sums over each text, {@code [M] -> [N]}. */
    Var perText(Var values) {
        return Lookup.scatterAdd(values.reshape(-1, 1), Tensor.of(values.backend(), text, text.length), texts).reshape(texts);
    }

    /** How many labels each text has, {@code [N]}; 1 where it has none, so that a mean is 0. */
    Var counts() {
        double[] n = new double[texts];
        for (long t : text) {
            n[(int) t]++;
        }
        DType type = states.dtype() == DType.F64 ? DType.F64 : DType.F32;
        return Var.constant(Tensor.of(states.backend(), type, Arrays.stream(n).map(c -> Math.max(1, c)).toArray(), texts));
    }
}
