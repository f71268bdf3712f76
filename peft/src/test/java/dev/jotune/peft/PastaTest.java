package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.methods.Pasta;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** PASTA on the tiny BERT of the golden set: which states it touches. */
@Tag("golden")
class PastaTest {
    private static final int CLS = 1;
    private static final int SEP = 2;
    /** A pair of texts, and one text with padding. */
    private static final long[] PAIR = {CLS, 11, 12, SEP, 13, 14, 15, SEP};
    private static final long[] SINGLE = {CLS, 11, 12, 13, SEP, 0, 0, 0};
    private static final Pasta METHOD = Pasta.DEFAULTS.withTokens(CLS, SEP);

    private static SequenceClassifier model(Backend backend, DType type) {
        return (SequenceClassifier) Models.load(Golden.cases("models", "bert_cls").findFirst().orElseThrow().folder(), backend, type).backbone();
    }

    private static EncoderInput texts(SequenceClassifier model, long[]... rows) {
        return EncoderInput.of(Tensor.of(model.backend(), Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, rows[0].length));
    }

    /** The states that enter the blocks, {@code [B, T, C]} flattened, by tap. */
    private static Map<String, double[]> entering(SequenceClassifier model, EncoderInput in) {
        Map<String, double[]> seen = new LinkedHashMap<>();
        Map<String, Tap> taps = new LinkedHashMap<>();
        for (String name : List.of("embed", "layers.0", "layers.1")) {
            taps.put(name, (n, h, _) -> {
                seen.put(n, h.tensor().toDoubleArray());
                return h;
            });
        }
        model.seams().attach(Hooks.ofTaps("watch", taps));
        Recording.off(() -> model.forward(in, model.seams().inference()));
        model.seams().detach("watch");
        return seen;
    }

    @Test
    void zeroVectorsLeaveEveryBitAsItWas() {
        SequenceClassifier model = model(Backends.cpu(), DType.F32);
        Map<String, double[]> before = entering(model, texts(model, PAIR, SINGLE));
        Adapters.create(model, "a", METHOD.starting(0), 1);
        Map<String, double[]> after = entering(model, texts(model, PAIR, SINGLE));
        before.forEach((name, h) -> assertThat(after.get(name)).as(name).isEqualTo(h));
    }

    /** The third special token of the pair alone is moved; the single text has none. */
    @Test
    void aVectorMovesItsOwnTokenAndNoOtherBeforeItsBlock() {
        for (int layer = 0; layer < 2; layer++) {
            SequenceClassifier model = model(Backends.reference(), DType.F64);
            Map<String, double[]> before = entering(model, texts(model, SINGLE, PAIR));
            Adapter a = Adapters.create(model, "a", METHOD.starting(0), 1);
            Tensor e = a.trainables().get("layers." + layer + ".pasta").tensor();
            e.slice(0, 2, 3).copyFrom(Tensor.full(e.backend(), e.dtype(), 0.5, 1, e.size(1)));
            Map<String, double[]> after = entering(model, texts(model, SINGLE, PAIR));
            String here = layer == 0 ? "embed" : "layers.0";
            int width = model.hiddenSize();
            for (int i = 0; i < before.get(here).length; i++) {
                boolean own = i / width == SINGLE.length + 7;
                assertThat(after.get(here)[i]).as("block %d, token %d", layer, i / width).isEqualTo(before.get(here)[i] + (own ? 0.5 : 0));
            }
            assertThat(after.get("layers.1")).isNotEqualTo(before.get("layers.1"));
        }
    }

    @Test
    void embeddingsAreRefusedBecauseNobodyKnowsTheirTokens() {
        SequenceClassifier model = model(Backends.cpu(), DType.F32);
        Adapters.create(model, "a", METHOD, 1);
        Var rows = Var.constant(Tensor.zeros(model.backend(), DType.F32, 1, 4, model.hiddenSize()));
        assertThatThrownBy(() -> model.forward(EncoderInput.of(rows), model.seams().inference())).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("Give token ids");
    }
}
