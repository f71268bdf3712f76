package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.models.CausalLm;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Prompts that an encoder makes: what is left of them when the encoder has gone (catalogue S072, works_when). */
class EncodedPromptTest {
    @TempDir
    Path folder;

    /** Collapse: the rows alone give the logits of the network, and they are all that is stored. */
    @ParameterizedTest
    @CsvSource({"p-tuning, 0", "p-tuning, 2", "residual-prompt, 0", "prefix, 2"})
    void theStoredRowsComputeWhatTheEncoderDid(String name, int setting) {
        MethodInfo info = Methods.named(name);
        for (boolean wide : new boolean[] {true, false}) {
            Harness h = new Harness(info, ContractCases.of(info).get(setting), TinyModels.GROUPED, wide);
            CausalLm model = h.model();
            Adapter trained = h.moved(model, "a");
            Path out = folder.resolve(name + setting + wide);
            trained.save(out);
            assertThat(AdapterFiles.read(out).tensors()).containsOnlyKeys(Prompts.TABLE);
            CausalLm other = h.model();
            Adapter loaded = Adapters.load(other, "b", out);
            assertThat(loaded.trainableCount()).isLessThan(trained.trainableCount())
                    .isEqualTo(AdapterFiles.read(out).tensors().get(Prompts.TABLE).numel());
            double[] got = Harness.logits(other, h.input(2));
            double[] want = Harness.logits(model, h.input(2));
            assertThat(got).containsExactly(want, within(wide ? 1e-12 : 1e-6));
        }
    }

    /** An encoder-decoder's table has twice the rows, whatever they start from. */
    @ParameterizedTest
    @ValueSource(strings = {"SAMPLE_VOCAB", "TEXT"})
    @Tag("golden")
    void promptsStartFromEmbeddingsBeforeAnEncoderDecoderToo(String start) {
        Seq2SeqLm model = Models.load(Golden.folder("peft").resolve("base/t5"), Backends.reference(), DType.F64).backbone().as(Seq2SeqLm.class);
        Map<String, ?> fields = Map.of("num_virtual_tokens", 3, "prompt_tuning_init", start, "prompt_tuning_init_text", "ab");
        Adapter a = Adapters.create(model, "a", Methods.configure(Methods.named("prompt"), fields), 1, Harness.LETTERS);
        Tensor p = a.trainables().get(Prompts.TABLE).tensor();
        assertThat(p.shape()).containsExactly(6, model.hiddenSize());
        Tensor table = model.seams().input().table().orElseThrow().base().tensor();
        for (int i = 0; i < 6; i++) {
            double[] row = p.select(0, i).toDoubleArray();
            int at = i;
            if (start.equals("TEXT")) {
                assertThat(row).isEqualTo(table.select(0, "ab".charAt(at % 2) % 16).toDoubleArray());
            } else {
                assertThat(rows(table)).as("row %d is an embedding", i).anyMatch(t -> Arrays.equals(t, row));
            }
        }
    }

    private static List<double[]> rows(Tensor table) {
        return IntStream.range(0, (int) table.size(0)).mapToObj(i -> table.select(0, i).toDoubleArray()).toList();
    }

    /** n C + 2 C m + m + C + 2 C while it trains, n C when it is stored. */
    @Test
    void residualPromptsCountAsInThePaper() {
        CausalLm model = TinyModels.GROUPED.make(Backends.reference(), DType.F64);
        Adapter a = Adapters.create(model, "a", Methods.configure(Methods.named("residual-prompt"), Map.of("encoder_hidden_size", 400)), 1);
        assertThat(a.trainableCount()).isEqualTo(10 * 16 + 2 * 16 * 400 + 400 + 16 + 2 * 16);
        assertThat(a.state().values().stream().mapToLong(Tensor::numel).sum()).isEqualTo(10 * 16);
    }
}
