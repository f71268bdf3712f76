package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A token through prepared steps is a token through the model. */
class DecoderStepsTest {
    private static final String TINY = """
            {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 256, "tie_word_embeddings": true}""";

    private static Tensor ids(int... tokens) {
        long[] wide = new long[tokens.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = tokens[i];
        }
        return Tensor.of(Backends.cpu(), wide, 1, wide.length);
    }

    private static int[] text(int length, int vocabulary) {
        int[] tokens = new int[length];
        for (int i = 0; i < length; i++) {
            tokens[i] = (7 + 31 * i) % vocabulary;
        }
        return tokens;
    }

    private static float[] whole(Decoder model, int[] tokens, int length, Pass pass) {
        try (Scope scope = Scope.open()) {
            return Recording.off(() -> model.logits(model.forward(DecoderInput.of(ids(Arrays.copyOf(tokens, length))), pass,
                    Optional.empty()).text().slice(1, length - 1, length), pass)).tensor().toFloatArray();
        }
    }

    /** Three tokens the general way, then one by one, over growths of the cache and a way back. */
    private static void check(Decoder model, double near) {
        Pass pass = model.seams().inference();
        int vocabulary = model.vocabularySize();
        int[] tokens = text(24, vocabulary);
        DecoderCache cache = model.newCache(1, 4);
        try (Scope scope = Scope.open()) {
            Recording.off(() -> model.forward(DecoderInput.of(ids(tokens[0], tokens[1], tokens[2])), pass, Optional.of(cache)));
        }
        float[] logits = new float[vocabulary];
        try (TokenSteps steps = model.steps(pass, cache).orElseThrow()) {
            for (int i = 3; i < tokens.length; i++) {
                if (i == 12) {
                    cache.truncate(9);
                    assertThat(steps.read(new int[] {tokens[9]}, new float[][] {logits})).isTrue();
                    assertThat(steps.read(new int[] {tokens[10]}, new float[][] {logits})).isTrue();
                    assertThat(steps.read(new int[] {tokens[11]}, new float[][] {logits})).isTrue();
                }
                assertThat(steps.read(new int[] {tokens[i]}, new float[][] {logits})).isTrue();
                float[] want = whole(model, tokens, i + 1, pass);
                for (int v = 0; v < vocabulary; v++) {
                    assertThat((double) logits[v]).as("logit %d after token %d", v, i).isCloseTo(want[v], within(near));
                }
            }
            assertThat(cache.length()).isEqualTo(tokens.length);
        }
        cache.free();
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "BF16", "F16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "NF4"})
    void stepsAreTheForwardPassForEveryStoredType(String stored) {
        check(RandomDecoder.of(TINY, stored), 2e-5);
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "BF16"})
    void stepsOnSeveralThreadsAreTheForwardPass(String stored) {
        check(RandomDecoder.of(RandomDecoder.LARGE, stored), 5e-5);
    }

    @Test
    void biasesAndWindowsAreKept() {
        check(RandomDecoder.of(TINY.replace("llama", "qwen2"), "F32"), 2e-5);
        check(RandomDecoder.of(TINY.replace("llama", "mistral").replace("}", ", \"sliding_window\": 5}"), "F32"), 2e-5);
    }

    @Test
    void aReplacedWeightIsNotReadOn() {
        Decoder model = RandomDecoder.of(TINY, "F32");
        Pass pass = model.seams().inference();
        DecoderCache cache = model.newCache(1, 4);
        try (Scope scope = Scope.open()) {
            Recording.off(() -> model.forward(DecoderInput.of(ids(1, 2)), pass, Optional.of(cache)));
        }
        float[] logits = new float[50];
        try (TokenSteps steps = model.steps(pass, cache).orElseThrow()) {
            assertThat(steps.read(new int[] {3}, new float[][] {logits})).isTrue();
            Parameter p = model.seams().parameters().get("model.layers.1.mlp.up_proj.weight");
            p.replace(p.base().detach());
            assertThat(steps.read(new int[] {4}, new float[][] {logits})).isFalse();
            assertThat(cache.length()).isEqualTo(3);
        }
        cache.free();
    }

    @Test
    void whatAnAdapterChangesGoesTheGeneralWay() {
        Decoder model = RandomDecoder.of(TINY, "F32");
        DecoderCache cache = model.newCache(1, 4);
        Pass tapped = Pass.inference(List.of(Hooks.ofTaps("steer", Map.of("final", (name, x, pass) -> x))));
        assertThat(model.steps(tapped, cache)).isEmpty();
        assertThat(model.steps(model.seams().inference(), model.newCache(2, 4))).isEmpty();
        assertThat(RandomDecoder.of(TINY.replace("llama", "gemma2"), "F32").steps(model.seams().inference(), cache)).isEmpty();
    }
}
