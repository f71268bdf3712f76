package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.methods.PromptGating;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** What a gate between attention and feed-forward does and leaves alone (catalogue S015, works_when 1 and 2), on encoder-decoders. */
@Tag("golden")
class PromptGatingTest {
    private static final int TOKENS = 3;
    private static final PromptGating GATING = PromptGating.DEFAULTS.sized(TOKENS, 4);

    private static Stream<Specimen> encoderDecoders() {
        return Specimen.all().stream().filter(s -> List.of("t5", "bart", "whisper").contains(s.golden().json().get("model_type").asText()));
    }

    private static Adapter attach(Backbone model, String name) {
        return Harness.move(Adapters.create(model, name, GATING, name.hashCode()), name.hashCode());
    }

    private static double[] outputs(Specimen s, Backbone model, List<Integer> rows, Pass pass) {
        return Recording.off(() -> s.probe(model).outputs(rows, pass)).tensor().toDoubleArray();
    }

    private static void set(Adapter adapter, String keys, double value) {
        adapter.trainables().forEach((key, v) -> {
            if (key.matches(keys)) {
                v.tensor().copyFrom(Tensor.full(v.backend(), v.dtype(), value, v.shape()));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> openGatesThatAddNothingArePromptTuning() {
        return encoderDecoders().map(s -> DynamicTest.dynamicTest(s.toString(), () -> {
            Backbone model = s.model();
            Adapter gated = attach(model, "g");
            double[] half = outputs(s, model, Specimen.BATCH, model.seams().inference());
            set(gated, ".*\\.(gate|shift)\\.weight|.*\\.shift\\.bias", 0);
            // Beyond double precision this is a gate of exactly 1.
            set(gated, ".*\\.gate\\.bias", 100);
            double[] open = outputs(s, model, Specimen.BATCH, model.seams().inference());
            double[] rows = gated.state().get("prompt_embeddings").toDoubleArray();
            gated.detach();
            Adapter prompt = Adapters.create(model, "p", PromptTuning.DEFAULTS.withTokens(TOKENS), 1);
            Tensor table = prompt.trainables().get("prompt_embeddings").tensor();
            table.copyFrom(Tensor.of(model.backend(), table.dtype(), Arrays.copyOf(rows, (int) table.numel()), table.shape()));
            assertThat(open).isEqualTo(outputs(s, model, Specimen.BATCH, model.seams().inference()));
            assertThat(half).isNotEqualTo(open);
        }));
    }

    /** Two plug-ins beside each other, and a row that has the second alone, whose tokens stand behind padding then. */
    @TestFactory
    Stream<DynamicTest> aPlugInChangesItsOwnTokensAndNothingElse() {
        return encoderDecoders().map(s -> DynamicTest.dynamicTest(s.toString(), () -> {
            Backbone model = s.model();
            List<String> places = model.seams().taps().keySet().stream().filter(t -> t.matches("encoder\\.layers\\.\\d+\\.mid")).toList();
            assertThat(places).hasSize(model.layers());
            Map<String, Tensor> before = new LinkedHashMap<>();
            Map<String, Tensor> after = new LinkedHashMap<>();
            Adapter first = attach(model, "first");
            Adapter second = attach(model, "second");
            Hooks asked = watch("before", places, before);
            Hooks given = watch("after", places, after);
            List<Hooks> both = List.of(first.hooks(), asked, second.hooks(), given);
            Pass pass = Pass.rows(List.of(both, List.of(asked, second.hooks(), given), both));
            double[] together = outputs(s, model, Specimen.BATCH, pass);
            for (String place : places) {
                for (int row = 0; row < 3; row++) {
                    String key = place + (row == 1 ? " 1" : " 2");
                    double[][] was = positions(before.get(key), row / 2);
                    double[][] is = positions(after.get(key), row / 2);
                    for (int t = 0; t < was.length; t++) {
                        boolean own = t >= TOKENS && t < 2 * TOKENS;
                        assertThat(Arrays.equals(was[t], is[t])).as("%s, row %d, position %d is unchanged", place, row, t).isEqualTo(!own);
                    }
                }
            }
            int each = together.length / 3;
            for (int row = 0; row < 3; row++) {
                List<Hooks> hooks = row == 1 ? List.of(second.hooks()) : List.of(first.hooks(), second.hooks());
                double[] alone = outputs(s, model, List.of(row), Pass.inference(hooks));
                double[] own = Arrays.copyOfRange(together, row * each, (row + 1) * each);
                // As in the contract: a small output is the difference of numbers as large as the others.
                double largest = Arrays.stream(alone).map(Math::abs).max().orElseThrow();
                for (int i = 0; i < each; i++) {
                    assertThat(Math.abs(own[i] - alone[i])).as("row %d, %d", row, i).isLessThanOrEqualTo(s.epsilon() * Math.max(1, largest));
                }
            }
        }));
    }

    /** Keeps what stands at each place, by the number of rows of the group. */
    private static Hooks watch(String name, List<String> places, Map<String, Tensor> seen) {
        Map<String, Tap> taps = new LinkedHashMap<>();
        places.forEach(p -> taps.put(p, (n, x, _) -> {
            seen.put(n + " " + x.size(0), x.tensor().contiguous());
            return x;
        }));
        return Hooks.ofTaps(name, taps);
    }

    private static double[][] positions(Tensor x, int row) {
        int width = Math.toIntExact(x.size(2));
        double[] all = x.slice(0, row, row + 1).contiguous().toDoubleArray();
        double[][] out = new double[all.length / width][];
        Arrays.setAll(out, t -> Arrays.copyOfRange(all, t * width, (t + 1) * width));
        return out;
    }
}
