package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Beam search against transformers: texts and scores of every model with such a check. */
@Tag("golden")
class BeamGoldenTest {

    private static final Set<String> SETTINGS = Set.of("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id",
            "num_beams", "num_return_sequences", "max_new_tokens", "do_sample", "length_penalty", "early_stopping",
            "no_repeat_ngram_size", "min_length", "forced_bos_token_id", "forced_eos_token_id");

    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models").forEach(c -> {
            for (JsonNode check : c.checks()) {
                String name = check.get("name").asText();
                if (name.startsWith("beam")) {
                    for (boolean wide : new boolean[] {true, false}) {
                        tests.add(DynamicTest.dynamicTest(c.id() + " " + name + (wide ? " F64" : " F32"),
                                () -> new BeamCheck(c, check, wide).run()));
                    }
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    private record BeamCheck(Golden.Case golden, JsonNode check, boolean wide) {

        void run() {
            Backend backend = wide ? Backends.reference() : Backends.cpu();
            DType type = wide ? DType.F64 : DType.F32;
            Backbone backbone = Models.load(golden.folder(), backend, type).backbone();
            if (!(backbone instanceof Seq2SeqLm model)) {
                CausalLm model = backbone.as(CausalLm.class);
                compare(new CausalLanguageModel(model, model.seams()::inference), prompts("input_ids"), width("input_ids"));
                return;
            }
            Pass pass = model.seams().inference();
            EncoderInput source = has("input_features") ? EncoderInput.of(Var.constant(Tensor.of(backend, type,
                    array("input_features").values(), array("input_features").shape())))
                    : EncoderInput.of(ids(backend, "input_ids"), ids(backend, "attention_mask"));
            CausalLm decoder = model.given(Recording.off(() -> model.encode(source, pass)));
            List<TextRequest> prompts = has("decoder_input_ids") ? prompts("decoder_input_ids")
                    : Collections.nCopies((int) source.batch(), TextRequest.of(model.decoderStartToken()));
            assertThat(model.decoderStartToken()).isEqualTo(check.at("/settings/decoder_start_token_id").asInt());
            compare(new CausalLanguageModel(decoder, pass), prompts, prompts.getFirst().prompt().length);
        }

        private boolean has(String input) {
            return check.at("/inputs/" + input).isObject();
        }

        private Golden.Array array(String input) {
            return Golden.array(golden.file("inputs.safetensors"), check.at("/inputs/" + input + "/tensor").asText());
        }

        private Tensor ids(Backend backend, String input) {
            return Tensor.of(backend, array(input).longs(), array(input).shape());
        }

        private int width(String input) {
            return (int) array(input).shape()[1];
        }

        /** @param padded how many columns of the expected sequences are the prompt's */
        private void compare(LanguageModel model, List<TextRequest> prompts, int padded) {
            JsonNode settings = check.get("settings");
            settings.fieldNames().forEachRemaining(name -> assertThat(SETTINGS).contains(name));
            assertThat(settings.get("do_sample").asBoolean()).isFalse();
            Generator generator = new Generator(model, options(settings)).with(beams(settings));
            Golden.LongArray want = Golden.longArray(golden.file("expected.safetensors"),
                    check.at("/expected/sequences/tensor").asText());
            double[] scores = Golden.array(golden.file("expected.safetensors"),
                    check.at("/expected/sequences_scores/tensor").asText()).values();
            double atol = check.at("/expected/sequences_scores/" + (wide ? "atol_float64" : "atol_float32")).asDouble();
            check.get("expected").fieldNames().forEachRemaining(name -> assertThat(name).isIn("sequences", "sequences_scores"));
            int width = (int) want.shape()[1];
            int row = 0;
            long[] got = new long[want.values().length];
            List<List<Hypothesis>> all = generator.hypotheses(prompts);
            for (int b = 0; b < all.size(); b++) {
                for (Hypothesis one : all.get(b)) {
                    long[] text = Arrays.copyOfRange(want.values(), row * width, row * width + padded);
                    System.arraycopy(text, 0, got, row * width, padded);
                    int[] tokens = one.generation().tokens();
                    for (int t = padded; t < width; t++) {
                        got[row * width + t] = t - padded < tokens.length ? tokens[t - padded] : settings.get("pad_token_id").asLong();
                    }
                    assertThat(one.score()).as("score " + row).isCloseTo(scores[row], offset(atol));
                    row++;
                }
            }
            assertThat(got).isEqualTo(want.values());
            assertThat(row).isEqualTo((int) want.shape()[0]);
        }

        /** The prompts without their padding. */
        private List<TextRequest> prompts(String input) {
            long[] ids = array(input).longs();
            double[] mask = has("attention_mask") ? array("attention_mask").values() : null;
            int time = width(input);
            List<TextRequest> prompts = new ArrayList<>();
            for (int b = 0; b < ids.length / time; b++) {
                List<Integer> tokens = new ArrayList<>();
                for (int t = 0; t < time; t++) {
                    if (mask == null || mask[b * time + t] != 0) {
                        tokens.add((int) ids[b * time + t]);
                    }
                }
                prompts.add(TextRequest.of(SamplingOptions.ints(tokens)));
            }
            return prompts;
        }
    }

    static BeamSearch beams(JsonNode settings) {
        JsonNode early = settings.get("early_stopping");
        BeamSearch.EarlyStopping when = early.isTextual() ? BeamSearch.EarlyStopping.NEVER
                : early.asBoolean() ? BeamSearch.EarlyStopping.TRUE : BeamSearch.EarlyStopping.FALSE;
        return new BeamSearch(settings.get("num_beams").asInt(), settings.get("length_penalty").asDouble(), when, 1,
                settings.get("num_return_sequences").asInt());
    }

    static SamplingOptions options(JsonNode settings) {
        SamplingOptions.Builder builder = SamplingOptions.builder().maxNewTokens(settings.get("max_new_tokens").asInt())
                .eosTokenIds(ids(settings.path("eos_token_id"))).minLength(settings.path("min_length").asInt(0))
                .noRepeatNgramSize(settings.path("no_repeat_ngram_size").asInt(0))
                .forcedBosTokenId(settings.path("forced_bos_token_id").asInt(-1))
                .forcedEosTokenIds(ids(settings.path("forced_eos_token_id")));
        return builder.build();
    }

    private static int[] ids(JsonNode one) {
        return one.isArray() ? Golden.children(one).stream().mapToInt(JsonNode::asInt).toArray()
                : one.isInt() ? new int[] {one.asInt()} : new int[0];
    }
}
