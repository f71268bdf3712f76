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
import dev.jotune.models.CausalLm;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.methods.AdaptionPrompt;
import dev.jotune.peft.methods.Aligner;
import dev.jotune.peft.methods.NtkAttention;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The contract of DESIGN section 5 for methods that take steps after an attention's keys, on every architecture that they claim. */
@Tag("golden")
class SegmentBackboneTest {
    private static final int TOKENS = 2;

    @TestFactory
    Stream<DynamicNode> everyArchitectureKeepsTheContract() {
        List<DynamicNode> nodes = new ArrayList<>();
        for (Specimen s : Specimen.all()) {
            List<DynamicTest> tests = new ArrayList<>();
            for (TuningMethod m : List.of(new NtkAttention(0.05, List.of()), AdaptionPrompt.DEFAULTS.withTokens(TOKENS),
                    Aligner.DEFAULTS.withTokens(TOKENS))) {
                tests.add(DynamicTest.dynamicTest(m.peftType() + " starts, counts, learns, and leaves the model alone", () -> learning(s, m)));
                if (s.wide()) {
                    tests.add(DynamicTest.dynamicTest(m.peftType() + " gradients are difference quotients", () -> gradients(s, m)));
                }
                tests.add(DynamicTest.dynamicTest(m.peftType() + " rows run and decode under their own", () -> rows(s, m)));
            }
            nodes.add(DynamicContainer.dynamicContainer(s.toString(), tests));
        }
        return nodes.stream();
    }

    /** Whether the method claims the model; if not, it must refuse it. */
    private static boolean fits(Specimen s, TuningMethod m) {
        Backbone model = s.model();
        boolean has = m instanceof NtkAttention ? !model.seams().attentions().isEmpty() : model instanceof CausalLm
                && !model.seams().attentions().isEmpty();
        if (!has) {
            assertThatThrownBy(() -> Adapters.create(model, "a", m, 1)).isInstanceOf(AdapterException.class)
                    .hasMessageContaining("a " + model.modelType() + " model");
            assertThat(model.seams().attached()).isEmpty();
        }
        return has;
    }

    private static double[] outputs(Specimen s, Backbone model, List<Integer> rows, Pass pass) {
        return Recording.off(() -> s.probe(model).outputs(rows, pass)).tensor().toDoubleArray();
    }

    private static long count(Backbone model, TuningMethod m) {
        List<AttentionSite> sites = model.seams().attentions();
        return switch (m) {
            case NtkAttention _ -> sites.stream().mapToLong(a -> (long) a.heads() * a.headDim() * (a.headDim() + 1)).sum();
            case Aligner _ -> (long) TOKENS * model.hiddenSize() + (long) sites.size() * sites.getFirst().heads();
            default -> sites.size() * ((long) TOKENS * model.hiddenSize() + 1);
        };
    }

    private void learning(Specimen s, TuningMethod m) {
        if (!fits(s, m)) {
            return;
        }
        Backbone model = s.model();
        Map<String, Integer> bytes = BackboneContractTest.bytes(model);
        Pass bare = model.seams().inference();
        double[] base = outputs(s, model, Specimen.BATCH, bare);
        Adapter adapter = Adapters.create(model, "a", m, 1);
        double[] started = outputs(s, model, Specimen.BATCH, model.seams().inference());
        if (m.changesAtStart().isEmpty()) {
            assertThat(started).isEqualTo(base);
        } else {
            assertThat(started).isNotEqualTo(base);
        }
        // Training may bring weights into another order, in which F32 rounds otherwise; so detaching is tried before.
        adapter.detach();
        assertThat(outputs(s, model, Specimen.BATCH, bare)).isEqualTo(base);
        adapter = Adapters.create(model, "a", m, 1);
        long whole = adapter.hooks().overrides().values().stream().mapToLong(v -> v.tensor().numel()).sum();
        assertThat(adapter.trainableCount() - whole).isEqualTo(count(model, m));
        Harness.move(adapter, 3);
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.01));
        List<Double> losses = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            Var loss = s.probe(model).loss(model.seams().inference());
            losses.add(loss.item());
            optimizer.step(adapter.trainables(), Gradients.of(loss, List.copyOf(adapter.trainables().values())));
        }
        assertThat(losses.getLast()).as("losses %s", losses).isLessThan(losses.getFirst());
        assertThat(BackboneContractTest.bytes(model)).isEqualTo(bytes);
    }

    private void gradients(Specimen s, TuningMethod m) {
        if (!fits(s, m)) {
            return;
        }
        Backbone model = s.model();
        Adapter adapter = Harness.move(Adapters.create(model, "a", m, 1), 5);
        List<Var> all = List.copyOf(adapter.trainables().values());
        List<Tensor> gradients = Gradients.of(s.probe(model).loss(model.seams().inference()), all);
        double slope = 0;
        double scale = 0;
        List<double[]> at = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            at.add(all.get(i).tensor().toDoubleArray());
            double[] g = gradients.get(i).toDoubleArray();
            for (int k = 0; k < g.length; k++) {
                slope += g[k] * Philox.normal(17, i, k);
                scale += Math.abs(g[k] * Philox.normal(17, i, k));
            }
        }
        double least = Double.POSITIVE_INFINITY;
        // A kink of ReLU between the two points spoils a quotient; a closer pair steps around it.
        for (double step = 1e-5; step > 1e-8 && least > 1e-6 * scale + 1e-9; step /= 10) {
            double quotient = (BackboneContractTest.lossAt(s, model, all, at, step)
                    - BackboneContractTest.lossAt(s, model, all, at, -step)) / (2 * step);
            least = Math.min(least, Math.abs(slope - quotient));
        }
        assertThat(least).as("how far the slope %s is from the difference quotient", slope).isLessThanOrEqualTo(1e-6 * scale + 1e-9);
    }

    /** Row 0 under this method, row 1 bare, row 2 under another of its kind: each as if it were alone, decoded too. */
    private void rows(Specimen s, TuningMethod m) {
        if (!fits(s, m)) {
            return;
        }
        Backbone model = s.model();
        // LongRoPE may change all angles by the longest row.
        if (model instanceof Decoder d && d.config().ropes().stream().anyMatch(r -> r.isFar(CausalProbe.TIME - 1))) {
            return;
        }
        Harness.move(Adapters.create(model, "a", m, 1), 5);
        Harness.move(Adapters.create(model, "b", m, 2), 6);
        List<String> names = List.of("a", "", "b");
        Pass pass = model.seams().rows(names);
        double[] together = outputs(s, model, Specimen.BATCH, pass);
        int each = together.length / names.size();
        for (int row = 0; row < names.size(); row++) {
            close(s, Arrays.copyOfRange(together, row * each, (row + 1) * each),
                    outputs(s, model, List.of(row), model.seams().rows(List.of(names.get(row)))));
        }
        s.probe(model).decoded(Specimen.BATCH, pass).ifPresent(v -> close(s, v.tensor().toDoubleArray(), together));
    }

    private static void close(Specimen s, double[] got, double[] want) {
        double largest = Arrays.stream(want).map(Math::abs).max().orElse(0);
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(Math.abs(got[i] - want[i])).as("%d: %s, want %s", i, got[i], want[i]).isLessThanOrEqualTo(s.epsilon() * Math.max(1, largest));
        }
    }
}
