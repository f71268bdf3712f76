package dev.jotune.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SentenceEncoderTest {
    private static final Path MINILM = Path.of(System.getProperty("jotune.models", "../shared/models"), "all-minilm-l6-v2");

    @TempDir
    private Path folder;

    @Test
    void theRealModelFindsTwoMealsAlike() {
        assumeTrue(Files.isDirectory(MINILM), "not run: there is no folder " + MINILM + "; -Djotune.models=DIR says where models are");
        SentenceEncoder e = SentenceEncoder.load(MINILM, Backends.cpu(), DType.F32);
        assertThat(e.pooling()).isEqualTo(Pooling.MEAN);
        float[][] v = e.encode(List.of("A man is eating food.", "The girl is carrying a baby.", "A man is eating a piece of bread."));
        assertThat(SentenceEncoder.cosine(v[0], v[2])).isCloseTo(0.755, within(5e-4));
        assertThat(SentenceEncoder.cosine(v[0], v[1])).isLessThan(0.3);
        assertThat(SentenceEncoder.cosine(v[0], v[0])).isCloseTo(1, within(1e-6));
        assertThat(SentenceEncoder.cosine(e.encode(List.of("A man is eating food."))[0], v[0])).as("alone and in a batch")
                .isCloseTo(1, within(1e-5));
    }

    @ParameterizedTest
    @CsvSource({"CLS, 1 2 9 8", "MEAN, 2 3 8 8", "MAX, 3 4 9 8", "MEAN_SQRT_LEN, 2.828427 4.242641 13.856406 13.856406"})
    void eachPoolingPassesPaddingOver(Pooling pooling, String want) {
        Var states = Var.parameter(Tensor.of(Backends.reference(), DType.F64,
                new double[] {1, 2, 3, 4, 99, 99, 9, 8, 7, 8, 8, 8}, 2, 3, 2));
        Tensor mask = Tensor.of(Backends.reference(), new long[] {1, 1, 0, 1, 1, 1}, 2, 3);
        Var out = pooling.apply(states, Optional.of(mask));
        String[] numbers = want.split(" ");
        double[] got = out.tensor().toDoubleArray();
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).isCloseTo(Double.parseDouble(numbers[i]), within(1e-5));
        }
        double[] gradient = Gradients.of(out.sum(), List.of(states)).getFirst().toDoubleArray();
        assertThat(gradient[4]).as("padding has no share").isZero();
        assertThat(gradient[0] + gradient[2]).isCloseTo(pooling == Pooling.MEAN_SQRT_LEN ? Math.sqrt(2) : 1, within(1e-8));
    }

    private Path sentenceTransformer(String modules, String pooling) throws IOException {
        Path from = Golden.folder("models").resolve("bert_mlm");
        for (String f : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(from.resolve(f), folder.resolve(f));
        }
        Files.writeString(folder.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": {"type": "BertNormalizer",
                 "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": false},
                 "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": {"type": "WordPiece", "prefix": "##",
                 "cleanup": true}, "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                 "max_input_chars_per_word": 100, "vocab": {"[UNK]": 1, "a": 2, "b": 3, "c": 4, "d": 5}}}
                """);
        Files.writeString(folder.resolve("modules.json"), modules);
        Files.writeString(folder.resolve("sentence_bert_config.json"), "{\"max_seq_length\": 3, \"do_lower_case\": true}");
        Files.createDirectory(folder.resolve("1_Pooling"));
        Files.writeString(folder.resolve("1_Pooling/config.json"), pooling);
        return folder;
    }

    private static final String MODULES = """
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
            """;

    @Test
    void modulesSayHowVectorsAreMade() throws IOException {
        SentenceEncoder e = SentenceEncoder.load(sentenceTransformer(MODULES, """
                {"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false,
                 "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false}
                """), Backends.reference(), DType.F64);
        assertThat(e.pooling()).isEqualTo(Pooling.CLS);
        assertThat(e.normalize()).isFalse();
        assertThat(e.maxLength()).isEqualTo(3);
        float[][] v = e.encode(List.of("a b", "A B C", "a b c d"));
        assertThat(v[1]).as("cut to three tokens, in lower case").isEqualTo(v[2]).isNotEqualTo(v[0]);
        var states = e.encoder().forward(EncoderInput.of(Tensor.of(Backends.reference(), new long[] {2, 3, 4}, 1, 3)),
                e.encoder().seams().inference()).text().select(1, 0).tensor().toDoubleArray();
        for (int i = 0; i < states.length; i++) {
            assertThat((double) v[1][i]).isCloseTo(states[i], within(1e-6));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{\"pooling_mode_lasttoken\": true} | pooling_mode_lasttoken",
        "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": true} | CLS and MEAN",
        "{} | no pooling"})
    void poolingsThatAreNotKnownAreRefused(String pooling, String says) throws IOException {
        Path model = sentenceTransformer(MODULES, pooling);
        assertThatThrownBy(() -> SentenceEncoder.load(model, Backends.reference(), DType.F64)).isInstanceOf(ModelException.class)
                .hasMessageContaining(says);
    }

    @Test
    void modulesThatAreNotKnownAreRefused() throws IOException {
        Path model = sentenceTransformer("[{\"path\": \"2_Dense\", \"type\": \"sentence_transformers.models.Dense\"}]", "{}");
        assertThatThrownBy(() -> SentenceEncoder.load(model, Backends.reference(), DType.F64)).isInstanceOf(ModelException.class)
                .hasMessageContaining("Dense");
        assertThatThrownBy(() -> SentenceEncoder.cosine(new float[2], new float[3])).hasMessageContaining("2 and 3");
    }
}
