package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.methods.BottleneckAdapter;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Bottleneck adapters number by number: what each placement reads, and what it adds to what. */
class BottleneckAdapterTest {
    private final Harness harness = new Harness(Methods.named("adapter"), TapCases.TABLE.get("adapter").getFirst(), TinyModels.GROUPED, true);

    @ParameterizedTest
    @CsvSource({"houlsby, layers.0.attn.out, 1", "houlsby, layers.1.mlp.out, 1", "pfeiffer, layers.1, 1", "parallel, layers.0.mlp.out, 4"})
    void eachPlacementAddsTheBottleneckOfWhatItReads(String placement, String place, double scaling) {
        CausalLm model = harness.model();
        Map<String, double[]> seen = new LinkedHashMap<>();
        model.seams().attach(Hooks.ofTaps("before", Map.of(place, keep("h", seen))));
        Adapter a = Harness.move(Adapters.create(model, "a", new BottleneckAdapter(placement, 4, "relu", scaling, List.of()), 1), 2);
        model.seams().attach(Hooks.ofTaps("after", Map.of(place, keep("y", seen))));
        Harness.logits(model, harness.input(1));
        double[] x = seen.get(placement.equals("parallel") ? "h.read" : "h");
        double[] want = seen.get("h").clone();
        int width = model.hiddenSize();
        for (int token = 0; token < want.length / width; token++) {
            double[] f = bottleneck(a, place, Arrays.copyOfRange(x, token * width, (token + 1) * width));
            for (int c = 0; c < width; c++) {
                want[token * width + c] += scaling * f[c];
            }
        }
        assertThat(seen.get("y")).containsExactly(want, within(1e-12));
        assertThat(seen.get("h")).isNotEqualTo(want);
    }

    /** The feed-forward's input is read as it was, whatever is hung on its output. */
    @ParameterizedTest
    @CsvSource({"houlsby", "parallel"})
    void rowsUnderTwoAdaptersOfOneKindKeepTheirs(String placement) {
        CausalLm model = harness.model();
        BottleneckAdapter method = new BottleneckAdapter(placement, 4, "relu", 1, List.of());
        Harness.move(Adapters.create(model, "a", method, 1), 2);
        Harness.move(Adapters.create(model, "b", method, 1), 3);
        DecoderInput in = harness.input(2);
        // "a" runs in both rows, in the second beside "b".
        List<Hooks> first = List.of(model.seams().hooks("a"));
        List<Hooks> second = List.of(model.seams().hooks("a"), model.seams().hooks("b"));
        double[] together = Harness.logits(model, in, Pass.rows(List.of(first, second)));
        double[] alone = Harness.logits(model, harness.row(in, 1), Pass.inference(second));
        harness.assertClose("second row", Arrays.copyOfRange(together, alone.length, 2 * alone.length), alone);
    }

    private static Tap keep(String name, Map<String, double[]> into) {
        return (_, h, at) -> {
            into.put(name, h.tensor().toDoubleArray());
            at.read().ifPresent(x -> into.put(name + ".read", x.tensor().toDoubleArray()));
            return h;
        };
    }

    /** W_up relu(W_down x + b_down) + b_up in sums. */
    private static double[] bottleneck(Adapter a, String place, double[] x) {
        double[] inner = affine(a.state().get(place + ".adapter_down.weight"), a.state().get(place + ".adapter_down.bias"), x);
        for (int i = 0; i < inner.length; i++) {
            inner[i] = Math.max(0, inner[i]);
        }
        return affine(a.state().get(place + ".adapter_up.weight"), a.state().get(place + ".adapter_up.bias"), inner);
    }

    private static double[] affine(Tensor w, Tensor b, double[] x) {
        double[] values = w.toDoubleArray();
        double[] bias = b.toDoubleArray();
        return IntStream.range(0, bias.length).mapToDouble(o -> bias[o]
                + IntStream.range(0, x.length).mapToDouble(i -> values[o * x.length + i] * x[i]).sum()).toArray();
    }
}
