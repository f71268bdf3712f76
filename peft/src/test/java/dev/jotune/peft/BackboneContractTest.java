package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.Backbone;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * The contract of DESIGN section 5 on every architecture: every {@link BackboneCase} on each tiny checkpoint of the golden
 * set, in F64 on the reference backend and in F32 on the CPU. {@link MethodContractTest}
 * tries every setting of every method; here the model varies.
 */
@Tag("golden")
class BackboneContractTest {
    @TempDir
    Path folder;

    /** A method on a specimen. */
    private record Subject(Specimen specimen, BackboneCase of) {
        TuningMethod method() {
            return of.method();
        }

        Adapter attach(Backbone model, String name) {
            return Harness.move(Adapters.create(model, name, method(), name.hashCode()), name.hashCode());
        }

        double[] outputs(Backbone model, Pass pass) {
            return Recording.off(() -> specimen.probe(model).outputs(Specimen.BATCH, pass)).tensor().toDoubleArray();
        }

        double[] outputs(Backbone model) {
            return outputs(model, model.seams().inference());
        }

        Var loss(Backbone model) {
            return specimen.probe(model).loss(model.seams().inference());
        }

        void close(String what, double[] got, double[] want) {
            assertThat(got).as(what).hasSameSizeAs(want);
            // A small output is the difference of numbers as large as the others.
            double largest = Arrays.stream(want).map(Math::abs).max().orElse(0);
            for (int i = 0; i < got.length; i++) {
                assertThat(Math.abs(got[i] - want[i])).as("%s[%d] = %s, want %s", what, i, got[i], want[i])
                        .isLessThanOrEqualTo(specimen.epsilon() * Math.max(1, largest));
            }
        }
    }

    @TestFactory
    Stream<DynamicNode> everyArchitectureKeepsTheContract() {
        List<DynamicNode> nodes = new ArrayList<>();
        for (Specimen s : Specimen.all()) {
            List<DynamicTest> tests = new ArrayList<>();
            for (BackboneCase c : BackboneCase.on(s)) {
                points(s).forEach((name, test) -> tests.add(DynamicTest.dynamicTest(c + " " + name,
                        () -> test.accept(new Subject(s, c), s.model()))));
            }
            nodes.add(DynamicContainer.dynamicContainer(s.toString(), tests));
        }
        return nodes.stream();
    }

    /**
     * Whether the texts of the contract reach where LongRoPE changes the angles of every position of the batch, as the
     * original does: rows are then not independent of each other, nor what was decoded before of what comes after.
     */
    private static boolean changesAngles(Backbone model) {
        return model instanceof Decoder d && d.config().ropes().stream().anyMatch(r -> r.isFar(CausalProbe.TIME + BackboneCase.TOKENS - 1));
    }

    private Map<String, BiConsumer<Subject, Backbone>> points(Specimen s) {
        Map<String, BiConsumer<Subject, Backbone>> points = new LinkedHashMap<>();
        points.put("1 untrained, the output is unchanged or it says why", this::untrained);
        points.put("2 the trainable count is the closed form", this::count);
        points.put("3 only its own parameters change, and it learns", this::learning);
        if (s.wide()) {
            points.put("4 gradients are difference quotients", this::gradients);
        }
        points.put("5 merged is unmerged, and unmerging restores the bytes", this::merging);
        points.put("6 saved and loaded bit by bit", this::saving);
        points.put("7 rows run under their own, and detaching restores the base", this::rows);
        points.put("7 decoding with a cache is decoding without", this::decoding);
        points.put("9 what does not fit is refused and leaves the model alone", this::refusing);
        return points;
    }

    private void untrained(Subject s, Backbone model) {
        double[] base = s.outputs(model);
        if (!s.of.fits(model)) {
            assertThatThrownBy(() -> s.attach(model, "a")).isInstanceOf(AdapterException.class)
                    .hasMessageContaining(s.of.refusal()).hasMessageContaining(" " + model.modelType() + " model");
            assertThat(model.seams().attached()).isEmpty();
            return;
        }
        Adapter adapter = Adapters.create(model, "a", s.method(), 1);
        if (s.method().changesAtStart().isEmpty()) {
            assertThat(s.outputs(model)).isEqualTo(base);
        } else {
            assertThat(s.outputs(model)).as(s.method().changesAtStart()).isNotEqualTo(base);
        }
        adapter.detach();
        assertThat(s.outputs(model)).isEqualTo(base);
    }

    private void count(Subject s, Backbone model) {
        if (!s.of.fits(model)) {
            return;
        }
        Adapter adapter = s.attach(model, "a");
        long want = s.of.count().applyAsLong(model, adapter);
        // A classifier's head trains along, whatever the method.
        long whole = adapter.hooks().overrides().values().stream().mapToLong(v -> v.tensor().numel()).sum();
        assertThat(whole > 0).isEqualTo(model instanceof SequenceClassifier);
        assertThat(want).isPositive();
        assertThat(adapter.trainableCount()).isEqualTo(want + whole);
    }

    private void learning(Subject s, Backbone model) {
        if (!s.of.fits(model)) {
            return;
        }
        Map<String, Integer> before = bytes(model);
        model.seams().parameters().values().forEach(p -> assertThat(p.base().requiresGrad()).as(p.path()).isFalse());
        Adapter adapter = s.attach(model, "a");
        Map<String, double[]> start = new LinkedHashMap<>();
        adapter.trainables().forEach((name, v) -> start.put(name, v.tensor().toDoubleArray()));
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.01));
        List<Double> losses = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            Var loss = s.loss(model);
            losses.add(loss.item());
            optimizer.step(adapter.trainables(), Gradients.of(loss, List.copyOf(adapter.trainables().values())));
        }
        assertThat(losses).allMatch(Double::isFinite);
        assertThat(losses.getLast()).as("losses %s", losses).isLessThan(losses.getFirst());
        List<String> still = start.keySet().stream()
                .filter(n -> Arrays.equals(start.get(n), adapter.trainables().get(n).tensor().toDoubleArray()))
                // An expert that no token of the batch was sent to learns nothing.
                .filter(n -> !n.contains(".experts.")).toList();
        assertThat(still).as("trainables that did not move").isEmpty();
        assertThat(bytes(model)).isEqualTo(before);
    }

    private void gradients(Subject s, Backbone model) {
        if (!s.of.fits(model)) {
            return;
        }
        Adapter adapter = s.attach(model, "a");
        List<Var> all = List.copyOf(adapter.trainables().values());
        List<Tensor> gradients = Gradients.of(s.loss(model), all);
        Harness.holdConstants(model, adapter);
        double slope = 0;
        double scale = 0;
        List<double[]> at = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            at.add(all.get(i).tensor().toDoubleArray());
            double[] g = gradients.get(i).toDoubleArray();
            for (int k = 0; k < g.length; k++) {
                double part = g[k] * Philox.normal(17, i, k);
                slope += part;
                scale += Math.abs(part);
            }
        }
        assertThat(scale).isPositive();
        double least = Double.POSITIVE_INFINITY;
        // A kink of ReLU between the two points spoils a quotient; a closer pair steps around it.
        for (double step = 1e-5; step > 1e-8 && least > 1e-6 * scale + 1e-9; step /= 10) {
            double quotient = (lossAt(s.specimen, model, all, at, step) - lossAt(s.specimen, model, all, at, -step)) / (2 * step);
            least = Math.min(least, Math.abs(slope - quotient));
        }
        assertThat(least).as("how far the slope %s is from the difference quotient", slope).isLessThanOrEqualTo(1e-6 * scale + 1e-9);
    }

    /** The loss with all trainables moved along one random direction. */
    static double lossAt(Specimen s, Backbone model, List<Var> all, List<double[]> at, double step) {
        for (int i = 0; i < all.size(); i++) {
            int stream = i;
            double[] from = at.get(i);
            double[] there = new double[from.length];
            Arrays.setAll(there, k -> from[k] + step * Philox.normal(17, stream, k));
            Tensor t = all.get(i).tensor();
            t.copyFrom(Tensor.of(t.backend(), t.dtype(), there, t.shape()));
        }
        return Recording.off(() -> s.probe(model).loss(model.seams().inference())).item();
    }

    private void merging(Subject s, Backbone model) {
        if (!s.of.fits(model)) {
            return;
        }
        Map<String, Integer> bytes = bytes(model);
        Adapter adapter = s.attach(model, "a");
        double[] unmerged = s.outputs(model);
        if (adapter.canMerge()) {
            adapter.merge();
            assertThat(bytes(model)).isNotEqualTo(bytes);
            s.close("merged", s.outputs(model), unmerged);
            adapter.unmerge();
        } else {
            assertThatThrownBy(adapter::merge).isInstanceOf(AdapterException.class).hasMessageContaining("merge");
        }
        assertThat(bytes(model)).isEqualTo(bytes);
        assertThat(s.outputs(model)).isEqualTo(unmerged);
    }

    private void saving(Subject s, Backbone model) {
        if (!s.of.fits(model)) {
            return;
        }
        Adapter adapter = s.attach(model, "a");
        Path out = folder.resolve(s.specimen + " " + s.of);
        adapter.save(out);
        Backbone other = s.specimen.model();
        Adapter loaded = Adapters.load(other, "b", out);
        assertThat(loaded.method()).isEqualTo(adapter.method());
        assertThat(loaded.state().keySet()).isEqualTo(adapter.state().keySet());
        adapter.state().forEach((k, t) -> assertThat(loaded.state().get(k).toDoubleArray()).as(k).isEqualTo(t.toDoubleArray()));
        assertThat(s.outputs(other)).isEqualTo(s.outputs(model));
    }

    /** Row 0 under this method, row 1 bare, row 2 under a LoRA of its own: each as if it were alone. */
    private void rows(Subject s, Backbone model) {
        if (!s.of.fits(model) || changesAngles(model)) {
            return;
        }
        double[] base = s.outputs(model);
        Adapter mine = s.attach(model, "a");
        Adapter other = new Subject(s.specimen, BackboneCase.LORA).attach(model, "b");
        List<String> names = List.of("a", "", "b");
        double[] together = s.outputs(model, model.seams().rows(names));
        int each = together.length / names.size();
        for (int row = 0; row < names.size(); row++) {
            int r = row;
            double[] alone = Recording.off(() -> s.specimen.probe(model).outputs(List.of(r), model.seams().rows(List.of(names.get(r)))))
                    .tensor().toDoubleArray();
            s.close("row " + row + " under '" + names.get(row) + "'", Arrays.copyOfRange(together, row * each, (row + 1) * each), alone);
        }
        mine.detach();
        other.detach();
        assertThat(s.outputs(model)).isEqualTo(base);
    }

    private void decoding(Subject s, Backbone model) {
        if (!s.of.fits(model) || changesAngles(model)) {
            return;
        }
        s.attach(model, "a");
        s.attach(model, "b");
        Pass pass = model.seams().rows(List.of("a", "", "b"));
        s.specimen.probe(model).decoded(Specimen.BATCH, pass).ifPresent(v -> s.close("decoded", v.tensor().toDoubleArray(), s.outputs(model, pass)));
    }

    private void refusing(Subject s, Backbone model) {
        Map<String, Integer> bytes = bytes(model);
        assertThatThrownBy(() -> Adapters.create(model, "a", s.of.wrong(), 1)).isInstanceOf(AdapterException.class)
                .hasMessageContaining(s.of.error());
        assertThat(model.seams().attached()).isEmpty();
        assertThat(bytes(model)).isEqualTo(bytes);
    }

    static Map<String, Integer> bytes(Backbone model) {
        Map<String, Integer> out = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) ->
                out.put(path, Arrays.hashCode(p.base().tensor().contiguous().storage().host().toArray(ValueLayout.JAVA_BYTE))));
        return out;
    }
}
