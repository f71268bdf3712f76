package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What every registered method must do (DESIGN section 5, points 1 to 8; point 9 has a suite of its own), with
 * every setting of {@link ContractCases}, on every tiny model, in F64 on the reference backend and in F32 on the CPU.
 */
class MethodContractTest {
    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicNode> everyMethodKeepsTheContract() {
        List<DynamicNode> nodes = new ArrayList<>();
        for (Harness h : harnesses()) {
            Map<String, Consumer<Harness>> points = new LinkedHashMap<>();
            points.put("1 untrained, the output is unchanged or it says why", this::untrained);
            points.put("2 the trainable count is the closed form", this::count);
            points.put("3 only its own parameters change", this::frozen);
            if (h.wide()) {
                points.put("4 gradients are difference quotients", this::gradients);
            }
            points.put("5 the forward is the definition", this::definition);
            points.put("5 merged is unmerged, and unmerging restores the bytes", this::merging);
            points.put("6 saved and loaded bit by bit", this::saving);
            points.put("7 two switch, and detaching restores the base", this::switching);
            points.put("7 rows of one batch run under their own", this::rows);
            points.put("7 rows decode with a cache as without", this::decoding);
            if (!h.wide() && h.kind() == TinyModels.GROUPED) {
                points.put("8 it learns", this::learning);
            }
            nodes.add(DynamicContainer.dynamicContainer(h.toString(), points.entrySet().stream()
                    .map(e -> DynamicTest.dynamicTest(e.getKey(), () -> e.getValue().accept(h)))));
        }
        assertThat(nodes).isNotEmpty();
        return nodes.stream();
    }

    /** Of the methods that the property {@code jotune.contract} names; of all without it. */
    private static List<Harness> harnesses() {
        List<Harness> all = new ArrayList<>();
        String only = System.getProperty("jotune.contract", "");
        for (MethodInfo info : Methods.all().stream().filter(m -> only.isEmpty() || List.of(only.split(",")).contains(m.name())).toList()) {
            for (ContractCases.Case settings : ContractCases.of(info)) {
                for (TinyModels.Kind kind : TinyModels.ALL) {
                    if (settings.fits().test(kind.config())) {
                        all.add(new Harness(info, settings, kind, true));
                        all.add(new Harness(info, settings, kind, false));
                    }
                }
            }
        }
        return all;
    }

    private void untrained(Harness h) {
        CausalLm model = h.model();
        double[] base = Harness.logits(model, h.input(2));
        Adapter adapter = h.create(model, "a");
        double[] attached = Harness.logits(model, h.input(2));
        if (adapter.method().changesAtStart().isEmpty()) {
            assertThat(attached).isEqualTo(base);
        } else {
            String why = adapter.method().changesAtStart();
            double difference = largestDifference(attached, base);
            if (why.contains("up to rounding")) {
                h.assertClose(why, attached, base);
                assertThat(difference).isPositive();
            } else {
                assertThat(difference).as("declared: %s", why).isGreaterThan(1e-4);
            }
        }
    }

    private static double largestDifference(double[] a, double[] b) {
        double most = 0;
        for (int i = 0; i < a.length; i++) {
            most = Math.max(most, Math.abs(a[i] - b[i]));
        }
        return most;
    }

    private void count(Harness h) {
        assertThat(h.create(h.model(), "a").trainableCount()).isEqualTo(h.settings().count().applyAsLong(h.kind().config()));
    }

    private void frozen(Harness h) {
        CausalLm model = h.model();
        Map<String, Integer> before = Harness.bytes(model);
        model.seams().parameters().values().forEach(p -> assertThat(p.base().requiresGrad()).as(p.path()).isFalse());
        Adapter adapter = h.moved(model, "a");
        List<String> names = List.copyOf(adapter.trainables().keySet());
        List<double[]> start = adapter.trainables().values().stream().map(v -> v.tensor().toDoubleArray()).toList();
        List<Tensor> gradients = Harness.gradients(h.lossOf(model, 0), adapter);
        for (int i = 0; i < names.size(); i++) {
            assertThat(Arrays.stream(gradients.get(i).toDoubleArray()).anyMatch(g -> g != 0))
                    .as("gradient of " + names.get(i)).isTrue();
        }
        Harness.train(adapter, 3, 0.01, step -> h.lossOf(model, step));
        for (int i = 0; i < names.size(); i++) {
            assertThat(adapter.trainables().get(names.get(i)).tensor().toDoubleArray()).as(names.get(i))
                    .isNotEqualTo(start.get(i));
        }
        assertThat(Harness.bytes(model)).isEqualTo(before);
    }

    private void gradients(Harness h) {
        CausalLm model = h.model();
        Adapter adapter = h.moved(model, "a");
        List<Tensor> gradients = Harness.gradients(h.lossOf(model, 0), adapter);
        Harness.holdConstants(model, adapter);
        int i = 0;
        for (Map.Entry<String, Var> e : adapter.trainables().entrySet()) {
            Tensor t = e.getValue().tensor();
            double[] at = t.toDoubleArray();
            double[] direction = new double[at.length];
            int seed = i;
            Arrays.setAll(direction, k -> Philox.normal(17, seed, k));
            double[] g = gradients.get(i++).toDoubleArray();
            double slope = 0;
            double scale = 0;
            for (int k = 0; k < g.length; k++) {
                slope += g[k] * direction[k];
                scale += Math.abs(g[k] * direction[k]);
            }
            double step = 1e-5;
            double quotient = (lossAt(h, model, t, at, direction, step) - lossAt(h, model, t, at, direction, -step)) / (2 * step);
            t.copyFrom(Tensor.of(t.backend(), t.dtype(), at, t.shape()));
            assertThat(slope).as(e.getKey()).isCloseTo(quotient, within(1e-6 * scale + 1e-9));
        }
    }

    private static double lossAt(Harness h, CausalLm model, Tensor t, double[] at, double[] direction, double step) {
        double[] there = new double[at.length];
        Arrays.setAll(there, k -> at[k] + step * direction[k]);
        t.copyFrom(Tensor.of(t.backend(), t.dtype(), there, t.shape()));
        return h.loss(model);
    }

    /** The definition by seam: W' for projections, one dense run of keys for segments, embeddings for virtual tokens. */
    private void definition(Harness h) {
        CausalLm model = h.model();
        Adapter adapter = h.moved(model, "a");
        Pass pass = model.seams().inference();
        Group group = pass.groups().getFirst();
        adapter.hooks().projections().forEach((path, p) -> {
            LinearLayer layer = model.seams().projected(path);
            if (model.seams().tables().containsKey(path)) {
                Var table = layer.weight().value(group);
                Tensor all = Tensor.of(h.backend(), LongStream.range(0, layer.in()).toArray(), layer.in());
                h.assertClose(path, ((RowProjection) p).rows(Embedding.lookup(table, all), v -> Embedding.lookup(v, all), layer, pass).tensor()
                        .toDoubleArray(), layer.oriented(p.weight(layer.oriented(table))).tensor().contiguous().toDoubleArray());
                return;
            }
            Var x = noise(h, 2, 3, layer.in());
            Var w = p.weight(layer.weight().value(group));
            Var b = p.bias(layer.bias().map(v -> v.value(group)).orElse(null));
            Var want = b == null ? Linear.apply(x, w) : Linear.apply(x, w, b);
            h.assertClose(path, p.forward(x, v -> layer.base(v, group), layer, pass).tensor().toDoubleArray(),
                    want.tensor().toDoubleArray());
        });
        DecoderInput in = h.input(1);
        // Steps after the keys have no form as keys: SegmentStepsTest has their formulas.
        if (adapter.hooks().segments().filter(s -> s.positions() > 0).isPresent()) {
            h.assertClose("segments", Harness.logits(model, in), withCachedSegments(model, adapter, in));
        }
        // What is made anew before every block stands in no input of the bare model; its own test takes the blocks apart.
        if (adapter.hooks().virtualTokens().values().stream().anyMatch(v -> !v.areLayered())) {
            h.assertClose("virtual tokens", Harness.logits(model, in), withEmbeddings(model, adapter, in));
        }
    }

    private static Var noise(Harness h, long... shape) {
        double[] values = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Arrays.setAll(values, i -> Philox.normal(23, 0, i));
        return Var.constant(Tensor.of(h.backend(), h.type(), values, shape));
    }

    /** The bare model after a past whose keys and values are the segments'. */
    private static double[] withCachedSegments(CausalLm model, Adapter adapter, DecoderInput in) {
        Pass tuned = model.seams().inference();
        Pass bare = Pass.inference(List.of());
        long n = adapter.hooks().segments().get().positions();
        KvCache cache = (KvCache) model.newCache(1, 2);
        cache.grow(null, n);
        List<AttentionSite> sites = model.seams().attentions();
        var segments = adapter.hooks().segments().get().segments(sites, tuned);
        sites.forEach(site -> {
            var segment = segments.get(site.layer()).getFirst();
            cache.append(site.layer(), segment.key().tensor(), segment.value().tensor(), segment.visible());
        });
        return Recording.off(() -> model.logits(model.forward(in, bare, Optional.of(cache)).text(), bare).tensor().toDoubleArray());
    }

    /** The bare model, or with the segments that the adapter has beside them, on embeddings that begin with the virtual tokens. */
    private static double[] withEmbeddings(CausalLm model, Adapter adapter, DecoderInput in) {
        Hooks h = adapter.hooks();
        Pass bare = h.segments().isEmpty() ? Pass.inference(List.of())
                : Pass.inference(List.of(new Hooks(h.name(), Map.of(), h.overrides(), h.segments(), Map.of(), Map.of())));
        Tensor table = model.seams().parameters().get("model.embed_tokens.weight").base().tensor();
        VirtualTokens tokens = adapter.hooks().virtualTokens().get("embed");
        long n = tokens.count();
        Var embedded = Embedding.lookup(Var.constant(table), in.ids().get());
        Tensor p = tokens.rows(new VirtualTokens.Text(embedded, Var.constant(in.mask().get().to(table.dtype()))), bare).tensor()
                .reshape(n, table.size(1));
        Tensor all = Tensor.empty(table.backend(), table.dtype(), 1, n + in.time(), table.size(1));
        all.select(0, 0).slice(0, 0, n).copyFrom(p);
        long[] ids = in.ids().get().toLongArray();
        for (int t = 0; t < ids.length; t++) {
            all.select(0, 0).select(0, n + t).copyFrom(table.select(0, ids[t]));
        }
        return Recording.off(() -> model.logits(model.forward(DecoderInput.of(Var.constant(all)), bare, Optional.empty())
                .states().slice(1, n, n + ids.length), bare).tensor().toDoubleArray());
    }

    private void merging(Harness h) {
        CausalLm model = h.model();
        Map<String, Integer> bytes = Harness.bytes(model);
        Adapter adapter = h.moved(model, "a");
        double[] unmerged = Harness.logits(model, h.input(2));
        if (!adapter.canMerge() || !h.settings().merges().test(h.kind().config())) {
            assertThatThrownBy(adapter::merge).isInstanceOf(AdapterException.class).hasMessageContaining("merg");
        } else {
            adapter.merge();
            assertThat(model.seams().active()).isEmpty();
            assertThat(Harness.bytes(model)).isNotEqualTo(bytes);
            h.assertClose("merged", Harness.logits(model, h.input(2)), unmerged);
            assertThatThrownBy(adapter::merge).isInstanceOf(AdapterException.class).hasMessageContaining("merged already");
            adapter.unmerge();
        }
        assertThat(Harness.bytes(model)).isEqualTo(bytes);
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(unmerged);
        assertThatThrownBy(adapter::unmerge).isInstanceOf(AdapterException.class).hasMessageContaining("not merged");
    }

    private void saving(Harness h) {
        CausalLm model = h.model();
        Adapter adapter = h.moved(model, "a");
        Path out = folder.resolve("adapter " + h);
        adapter.save(out);
        CausalLm other = h.model();
        Adapter loaded = Adapters.load(other, "b", out);
        assertThat(loaded.method()).isEqualTo(adapter.method());
        assertThat(loaded.state().keySet()).isEqualTo(adapter.state().keySet());
        adapter.state().forEach((k, t) -> assertThat(loaded.state().get(k).toDoubleArray()).as(k).isEqualTo(t.toDoubleArray()));
        assertThat(Harness.logits(other, h.input(2))).isEqualTo(Harness.logits(model, h.input(2)));
        Path again = folder.resolve("again " + h);
        loaded.save(again);
        try (Stream<Path> files = Files.list(out)) {
            for (Path f : files.toList()) {
                assertThat(again.resolve(f.getFileName())).hasSameBinaryContentAs(f);
            }
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void switching(Harness h) {
        CausalLm model = h.model();
        double[] base = Harness.logits(model, h.input(2));
        double[] onlyA = alone(h, "a");
        double[] onlyB = alone(h, "b");
        Adapter a = h.moved(model, "a");
        Adapter b = h.moved(model, "b");
        model.seams().activate("a");
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(onlyA).isNotEqualTo(onlyB);
        model.seams().activate("b");
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(onlyB);
        model.seams().activate();
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(base);
        model.seams().activate("a", "b");
        a.detach();
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(onlyB);
        b.detach();
        assertThat(model.seams().attached()).isEmpty();
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(base);
    }

    private static double[] alone(Harness h, String name) {
        CausalLm model = h.model();
        h.moved(model, name);
        return Harness.logits(model, h.input(2));
    }

    /** The bare model, this method twice, and one of every registered method. */
    private static List<String> mixed(Harness h, CausalLm model) {
        h.moved(model, "a");
        h.moved(model, "b");
        List<String> names = new ArrayList<>(List.of("a", "", "b", "a"));
        for (MethodInfo other : ContractCases.ofDecoders()) {
            Harness o = new Harness(other, ContractCases.of(other).getFirst(), h.kind(), h.wide());
            o.moved(model, other.name());
            names.add(other.name());
        }
        return names;
    }

    private void rows(Harness h) {
        CausalLm model = h.model();
        List<String> names = mixed(h, model);
        DecoderInput in = h.input(names.size());
        double[] together = Harness.logits(model, in, model.seams().rows(names));
        int each = together.length / names.size();
        for (int i = 0; i < names.size(); i++) {
            double[] one = Harness.logits(model, h.row(in, i), model.seams().rows(List.of(names.get(i))));
            h.assertClose("row " + i + " under '" + names.get(i) + "'",
                    Arrays.copyOfRange(together, i * each, (i + 1) * each), one);
        }
    }

    private void decoding(Harness h) {
        CausalLm model = h.model();
        List<String> names = mixed(h, model);
        Pass pass = model.seams().rows(names);
        Tensor ids = h.input(names.size()).ids().get();
        // What the first step reads is the instruction, for methods that make something of it.
        double[] known = new double[Math.toIntExact(ids.numel())];
        Arrays.setAll(known, i -> i % ids.size(1) < 2 ? 1 : 0);
        double[] whole = Harness.logits(model, DecoderInput.of(ids).withInstruction(Tensor.of(h.backend(), h.type(), known, ids.shape())), pass);
        DecoderCache cache = model.newCache(names.size(), 1);
        int time = (int) ids.size(1);
        int width = model.vocabularySize();
        for (int from = 0, to = 2; from < time; from = to, to = Math.min(time, to + 1)) {
            DecoderInput next = DecoderInput.of(ids.slice(1, from, to).contiguous());
            double[] got = Recording.off(() -> model.logits(model.forward(next, pass, Optional.of(cache)).text(), pass)
                    .tensor().toDoubleArray());
            for (int b = 0; b < names.size(); b++) {
                int last = to - from - 1;
                h.assertClose("token " + (to - 1) + " under '" + names.get(b) + "'",
                        Arrays.copyOfRange(got, (b * (last + 1) + last) * width, (b * (last + 1) + last + 1) * width),
                        Arrays.copyOfRange(whole, (b * time + to - 1) * width, (b * time + to) * width));
            }
        }
    }

    /** The task of {@link AnswerTask}: from chance to the answer, on texts that it was not trained on. */
    private void learning(Harness h) {
        CausalLm model = h.model();
        AnswerTask task = new AnswerTask(h);
        double before = task.accuracy(model);
        // A series cut off is close to the inverse for a small Q alone, which large updates leave behind.
        double rate = h.settings().name().equals("neumann") ? 0.03 : 0.1;
        List<Double> losses = task.train(h.create(model, "a"), 60, rate);
        assertThat(losses).allMatch(Double::isFinite);
        double first = losses.stream().limit(5).mapToDouble(x -> x).average().orElseThrow();
        double last = losses.stream().skip(55).mapToDouble(x -> x).average().orElseThrow();
        // A few virtual tokens before a small random model are the weakest (Lester et al., section 3.2).
        assertThat(last).as("%s: loss, from %s", h, first).isLessThan(0.7 * first);
        assertThat(task.accuracy(model)).as("%s: accuracy, before %s", h, before).isGreaterThanOrEqualTo(before + 0.5);
    }
}
