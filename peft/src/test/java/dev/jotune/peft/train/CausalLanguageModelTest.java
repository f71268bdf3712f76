package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.SettledMemory;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Decoding with a cache, against one forward pass over the whole text. */
class CausalLanguageModelTest {
    private final CausalLm model = TinyModel.make(Backends.cpu(), DType.F32);

    /** Untrained LoRA changes nothing, so every adapter gets some noise first. */
    private void attach(String method) {
        if (method.equals("bare")) {
            return;
        }
        Adapter a = Adapters.create(model, method, TinyModel.method(method), 3);
        long stream = 0;
        for (Var v : a.trainables().values()) {
            double[] noisy = v.tensor().toDoubleArray();
            for (int i = 0; i < noisy.length; i++) {
                noisy[i] += 0.3 * Philox.normal(8, stream, i);
            }
            stream++;
            v.tensor().copyFrom(Tensor.of(v.backend(), v.dtype(), noisy, v.shape()));
        }
    }

    private float[] full(int[] text) {
        long[] ids = Arrays.stream(text).asLongStream().toArray();
        Pass pass = model.seams().inference();
        try (Scope _ = Scope.open()) {
            return Recording.off(() -> {
                DecoderInput in = DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length));
                Var all = model.logits(model.forward(in, pass, Optional.empty()).text(), pass);
                return all.select(1, ids.length - 1).tensor();
            }).toFloatArray();
        }
    }

    private static void close(float[] got, float[] want) {
        float largest = 0;
        for (float w : want) {
            largest = Math.max(largest, Math.abs(w));
        }
        for (int i = 0; i < want.length; i++) {
            assertThat(Math.abs(got[i] - want[i])).as("logit %d: %f, %f", i, got[i],
                    want[i]).isLessThanOrEqualTo(1e-5f * largest);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bare", "lora", "prefix", "prefix-mlp", "prompt"})
    void logitsAreThoseOfAFullPassAfterAnyFeedingAndGoingBack(String method) {
        attach(method);
        LanguageModel language = new CausalLanguageModel(model, model.seams()::inference);
        float[] out = new float[TinyModel.VOCABULARY];
        int[] text = {};
        try (LanguageModel.Session session = language.open()) {
            for (int move = 0; move < 40; move++) {
                int kind = Philox.nextInt(4, 0, move, 4);
                if (kind == 0) {
                    text = Arrays.copyOf(text, Philox.nextInt(4, 1, move, text.length + 1));
                    session.rewind(text.length);
                } else {
                    int more = Math.min(kind == 1 ? 1 : kind + 2, language.contextLength() - text.length);
                    int[] tokens = new int[more];
                    for (int i = 0; i < more; i++) {
                        tokens[i] = Philox.nextInt(4, 2 + i, move, TinyModel.VOCABULARY);
                    }
                    text = Arrays.copyOf(text, text.length + more);
                    System.arraycopy(tokens, 0, text, text.length - more, more);
                    session.feed(tokens);
                }
                if (text.length > 0 && move % 3 != 0) {
                    session.logits(out);
                    close(out, full(text));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bare", "prefix", "prompt"})
    void theWholeContextCanBeUsedAndNoMore(String method) {
        attach(method);
        CausalLanguageModel language = new CausalLanguageModel(model, model.seams().inference());
        int room = TinyModel.CONTEXT - (method.equals("bare") ? 0 : 3);
        assertThat(language.contextLength()).isEqualTo(room);
        float[] out = new float[TinyModel.VOCABULARY];
        try (LanguageModel.Session session = language.open()) {
            for (int i = 0; i < room; i++) {
                session.feed(i);
                session.logits(out);
            }
            int[] text = java.util.stream.IntStream.range(0, room).toArray();
            close(out, full(text));
            assertThatThrownBy(() -> session.feed(1)).hasMessageContaining("longer than the context of " + room);
            session.rewind(0);
            session.feed(text);
            session.logits(out);
            close(out, full(text));
        }
    }

    @Test
    void aSessionKeepsTheAdaptersItBeganWith() {
        attach("lora");
        LanguageModel language = new CausalLanguageModel(model, model.seams()::inference);
        float[] adapted = full(new int[] {1, 2, 3});
        float[] out = new float[TinyModel.VOCABULARY];
        try (LanguageModel.Session session = language.open()) {
            session.feed(1, 2);
            session.logits(out);
            model.seams().activate();
            session.feed(3);
            session.logits(out);
            close(out, adapted);
        }
        try (LanguageModel.Session session = language.open()) {
            session.feed(1, 2, 3);
            session.logits(out);
            close(out, full(new int[] {1, 2, 3}));
        }
        assertThat(out).isNotEqualTo(adapted);
    }

    @Test
    void closingASessionGivesItsMemoryBack() {
        attach("prompt");
        LanguageModel language = new CausalLanguageModel(model, model.seams().inference());
        float[] out = new float[TinyModel.VOCABULARY];
        long before = SettledMemory.inUse();
        for (int i = 0; i < 3; i++) {
            try (LanguageModel.Session session = language.open()) {
                session.feed(1, 2, 3);
                session.logits(out);
                assertThat(HostMemory.bytesInUse()).isGreaterThan(before);
            }
            assertThat(HostMemory.bytesInUse()).isLessThanOrEqualTo(before);
        }
    }

    @Test
    void rowsUnderDifferentAdaptersAreNoSessionOfOne() {
        attach("lora");
        Pass rows = model.seams().rows(List.of("lora", ""));
        assertThatThrownBy(() -> new CausalLanguageModel(model, rows).open()).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("2 rows");
    }
}
