package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What a block reads joins its last projections; where somebody taps their outputs, those are still the outputs alone. */
class ResidualTest {
    private static final int LAYERS = 2;

    private static Decoder model() {
        return RandomDecoder.of(RandomDecoder.LARGE, "F32");
    }

    private static DecoderInput input() {
        long[] ids = new long[2 * 40];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = (5 + 37L * i) % 1009;
        }
        return DecoderInput.of(Tensor.of(Backends.cpu(), ids, 2, 40));
    }

    private static float[] states(Decoder model, Map<String, Tap> taps) {
        Pass pass = taps.isEmpty() ? model.seams().inference() : Pass.inference(List.of(Hooks.ofTaps("seen", taps)));
        return Recording.off(() -> model.forward(input(), pass, Optional.empty()).text()).tensor().toFloatArray();
    }

    private static Tap keep(Map<String, float[]> seen) {
        return (name, activation, at) -> {
            seen.put(name, activation.tensor().toFloatArray());
            return activation;
        };
    }

    @Test
    void lookingAtTheOutputsChangesNothing() {
        Decoder model = model();
        Map<String, float[]> seen = new HashMap<>();
        Map<String, Tap> taps = new HashMap<>();
        for (int i = 0; i < LAYERS; i++) {
            taps.put("layers." + i + ".attn.out", keep(seen));
            taps.put("layers." + i + ".mlp.out", keep(seen));
        }
        float[] joined = states(model, Map.of());
        float[] apart = states(model, taps);
        assertThat(seen).hasSize(2 * LAYERS);
        assertThat(apart).hasSameSizeAs(joined);
        for (int i = 0; i < joined.length; i++) {
            assertThat((double) joined[i]).as("state %d", i).isCloseTo(apart[i], within(2e-5));
        }
    }

    @Test
    void anOutputThatBecomesNothingLeavesWhatWasRead() {
        Tap nothing = (name, activation, at) -> activation.mul(Var.constant(Tensor.full(activation.backend(), activation.dtype(), 0)));
        Map<String, float[]> seen = new HashMap<>();
        states(model(), Map.of("layers.0", keep(seen), "layers.1.attn.out", nothing, "layers.1.mid", keep(seen), "layers.1.mlp.out", nothing,
                "layers.1", keep(seen)));
        assertThat(seen.get("layers.1.mid")).containsExactly(seen.get("layers.0"));
        assertThat(seen.get("layers.1")).containsExactly(seen.get("layers.0"));
    }

    @Test
    void whatIsBetweenTheBlocksIsReadAndOutput() {
        Map<String, float[]> joined = new HashMap<>();
        Map<String, float[]> apart = new HashMap<>();
        Decoder model = model();
        states(model, Map.of("layers.0", keep(joined), "layers.1.mid", keep(joined), "layers.1", keep(joined)));
        states(model, Map.of("layers.0", keep(apart), "layers.1.attn.out", keep(apart), "layers.1.mlp.out", keep(apart)));
        float[] read = joined.get("layers.0");
        for (int i = 0; i < read.length; i++) {
            float mid = joined.get("layers.1.mid")[i];
            assertThat((double) mid).as("element %d behind attention", i).isCloseTo(read[i] + apart.get("layers.1.attn.out")[i], within(2e-5));
            assertThat((double) joined.get("layers.1")[i]).as("element %d behind the block", i)
                    .isCloseTo(mid + apart.get("layers.1.mlp.out")[i], within(2e-5));
        }
    }
}
