package dev.jotune.models.head;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.Config;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.ModelException;
import dev.jotune.models.PooledEncoder;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.TokenClassifier;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which head a checkpoint gets, under which names its weights may lie, and how a missing one begins. */
class HeadsTest {
    private static final EncoderInput TEXT = EncoderInput.of(Tensor.of(Backends.reference(), new long[] {5, 9, 11, 6, 20, 7}, 2, 3));

    /** Weights in a map, so that some can be taken away or renamed. */
    private record Shelf(Map<String, Golden.Array> weights) implements Weights.Source {
        static Shelf of(String golden) {
            return new Shelf(new TreeMap<>(Golden.arrays(folder(golden).resolve("model.safetensors"))));
        }

        Shelf without(String prefix) {
            weights.keySet().removeIf(n -> n.startsWith(prefix));
            return this;
        }

        Shelf under(UnaryOperator<String> to) {
            Map<String, Golden.Array> out = new TreeMap<>();
            weights.forEach((n, a) -> out.put(to.apply(n), a));
            return new Shelf(out);
        }

        @Override
        public boolean contains(String name) {
            return weights.containsKey(name);
        }

        @Override
        public Tensor get(String name) {
            Golden.Array a = weights.get(name);
            return Tensor.of(Backends.reference(), DType.F64, a.values(), a.shape());
        }

        @Override
        public String origin() {
            return "shelf";
        }
    }

    private static Path folder(String golden) {
        return Golden.folder("models").resolve(golden);
    }

    private static String config(String golden) throws Exception {
        return Files.readString(folder(golden).resolve("config.json"));
    }

    private static Backbone build(String config, Weights.Source source) {
        return Architectures.build(Config.parse(config, "config"), source, Backends.reference(), DType.F64);
    }

    private static SequenceClassifier fresh(String config, Weights.Source source, List<String> labels, long seed) {
        return Architectures.classifier(Config.parse(config, "config"), source, Backends.reference(), DType.F64, labels, seed);
    }

    private static double[] states(Encoder e) {
        return e.forward(TEXT, e.seams().inference()).states().tensor().toDoubleArray();
    }

    @Test
    void aCheckpointWithoutItsHeadIsThePlainEncoder() throws Exception {
        Encoder whole = build(config("bert_mlm"), Shelf.of("bert_mlm")).as(MaskedLm.class);
        Encoder plain = build(config("bert_mlm"), Shelf.of("bert_mlm").without("cls.")).as(Encoder.class);
        assertThat(plain).isNotInstanceOf(MaskedLm.class);
        assertThat(states(plain)).isEqualTo(states(whole));
        assertThatThrownBy(() -> plain.as(SequenceClassifier.class)).isInstanceOf(ModelException.class)
                .hasMessageContaining("SequenceClassifier");
    }

    @ParameterizedTest
    @ValueSource(strings = {"bert_mlm", "roberta_mlm", "distilbert_mlm", "deberta_v2"})
    void aBaseModelsOwnFileHasNoPrefixInItsNames(String golden) throws Exception {
        Encoder whole = build(config(golden), Shelf.of(golden)).as(Encoder.class);
        String prefix = whole.seams().input().table().orElseThrow().path().replaceFirst("\\..*", ".");
        String base = config(golden).replaceFirst("For(MaskedLM|SequenceClassification)\"", "Model\"");
        Shelf bare = Shelf.of(golden).under(n -> n.startsWith(prefix) ? n.substring(prefix.length()) : n);
        Encoder plain = build(base, bare).as(Encoder.class);
        assertThat(plain.seams().parameters()).containsKey("embeddings.word_embeddings.weight");
        assertThat(states(plain)).isEqualTo(states(whole));
        // Under a head the same file's weights have the names that the head's model gives them.
        SequenceClassifier headed = fresh(base, bare, List.of("a", "b"), 1);
        assertThat(headed.seams().parameters()).containsKey(prefix + "embeddings.word_embeddings.weight");
        assertThat(states(headed)).isEqualTo(states(whole));
    }

    @Test
    void normsMayBeCalledGammaAndBeta() throws Exception {
        Shelf old = Shelf.of("bert_mlm").under(n -> n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias",
                "LayerNorm.beta"));
        assertThat(old.contains("bert.embeddings.LayerNorm.gamma")).isTrue();
        MaskedLm m = build(config("bert_mlm"), old).as(MaskedLm.class);
        assertThat(states(m)).isEqualTo(states(build(config("bert_mlm"), Shelf.of("bert_mlm")).as(Encoder.class)));
        assertThat(m.seams().parameters()).containsKey("cls.predictions.transform.LayerNorm.weight");
    }

    @Test
    void thePoolerIsTheTanhOfALayerOnTheFirstToken() throws Exception {
        String base = config("bert_cls").replace("BertForSequenceClassification", "BertModel");
        PooledEncoder m = build(base, Shelf.of("bert_cls")).as(PooledEncoder.class);
        Pass pass = m.seams().inference();
        Hidden hidden = m.forward(TEXT, pass);
        double[] got = m.pooled(hidden, pass).tensor().toDoubleArray();
        double[] h = hidden.states().select(1, 0).tensor().toDoubleArray();
        double[] w = m.seams().parameters().get("bert.pooler.dense.weight").base().tensor().toDoubleArray();
        double[] b = m.seams().parameters().get("bert.pooler.dense.bias").base().tensor().toDoubleArray();
        int c = b.length;
        assertThat(got).hasSize(2 * c);
        for (int i = 0; i < got.length; i++) {
            double sum = b[i % c];
            for (int k = 0; k < c; k++) {
                sum += w[i % c * c + k] * h[i / c * c + k];
            }
            assertThat(got[i]).isCloseTo(Math.tanh(sum), within(1e-12));
        }
    }

    @ParameterizedTest
    @CsvSource({"bert_cls, BertForSequenceClassification, BertForTokenClassification",
        "distilbert_cls, DistilBertForSequenceClassification, DistilBertForTokenClassification",
        "deberta_v2, DebertaV2ForSequenceClassification, DebertaV2ForTokenClassification"})
    void tokensAreClassifiedByOneLayerOnEachState(String golden, String from, String to) throws Exception {
        TokenClassifier m = build(config(golden).replace(from, to), Shelf.of(golden)).as(TokenClassifier.class);
        assertThat(m.labels()).containsExactly("LABEL_0", "LABEL_1", "LABEL_2");
        Pass pass = m.seams().inference();
        Var states = m.forward(TEXT, pass).text();
        double[] logits = m.logits(states, pass).tensor().toDoubleArray();
        double[] h = states.tensor().toDoubleArray();
        double[] w = m.seams().parameters().get("classifier.weight").base().tensor().toDoubleArray();
        double[] b = m.seams().parameters().get("classifier.bias").base().tensor().toDoubleArray();
        int width = w.length / 3;
        double[] logTotal = new double[6];
        for (int i = 0; i < logits.length; i++) {
            double sum = b[i % 3];
            for (int k = 0; k < width; k++) {
                sum += w[i % 3 * width + k] * h[i / 3 * width + k];
            }
            assertThat(logits[i]).isCloseTo(sum, within(1e-11));
            logTotal[i / 3] += Math.exp(sum);
        }
        long[] labels = {-100, 2, 0, 1, -100, -100};
        double want = 0;
        for (int t : new int[] {1, 2, 3}) {
            want += (Math.log(logTotal[t]) - logits[t * 3 + (int) labels[t]]) / 3;
        }
        assertThat(m.loss(TEXT, Tensor.of(Backends.reference(), labels, 2, 3), pass).item()).isCloseTo(want, within(1e-11));
    }

    @Test
    void aFreshHeadFollowsItsSeedAndLearnsWhileTheFilesOwnHeadIsKept() throws Exception {
        String mlm = config("bert_mlm");
        List<String> labels = List.of("no", "yes");
        SequenceClassifier one = fresh(mlm, Shelf.of("bert_mlm"), labels, 1);
        assertThat(one.labels()).isEqualTo(labels);
        assertThat(one.freshModules()).containsExactly("bert.pooler.dense", "classifier");
        double[] first = weight(one, "classifier.weight");
        assertThat(first).hasSize(64).isEqualTo(weight(fresh(mlm, Shelf.of("bert_mlm"), labels, 1), "classifier.weight"))
                .isNotEqualTo(weight(fresh(mlm, Shelf.of("bert_mlm"), labels, 2), "classifier.weight"));
        double deviation = Math.sqrt(Arrays.stream(weight(one, "bert.pooler.dense.weight")).map(v -> v * v).average().orElseThrow());
        assertThat(deviation).as("initializer_range").isCloseTo(0.02, within(0.002));
        assertThat(weight(one, "classifier.bias")).containsOnly(0);
        Var pooler = one.seams().parameters().get("bert.pooler.dense.weight").base();
        one.seams().parameters().get("bert.pooler.dense.weight").replace(Var.parameter(pooler.tensor()));
        Var loss = one.loss(TEXT, Tensor.of(Backends.reference(), new long[] {0, 1}, 2), one.seams().inference());
        Tensor gradient = Gradients.of(loss, List.of(one.seams().parameters().get("bert.pooler.dense.weight").base())).getFirst();
        assertThat(Arrays.stream(gradient.toDoubleArray()).anyMatch(g -> g != 0)).isTrue();

        SequenceClassifier kept = fresh(config("bert_cls"), Shelf.of("bert_cls"), List.of("a", "b", "c"), 1);
        assertThat(kept.freshModules()).isEmpty();
        assertThat(weight(kept, "classifier.weight")).isEqualTo(Shelf.of("bert_cls").get("classifier.weight").toDoubleArray());
    }

    private static double[] weight(Encoder m, String path) {
        return m.seams().parameters().get(path).base().tensor().toDoubleArray();
    }

    @Test
    void trainingDropsOutAndInferenceDoesNot() throws Exception {
        SequenceClassifier m = build(config("bert_cls"), Shelf.of("bert_cls")).as(SequenceClassifier.class);
        double[] plain = logits(m, m.seams().inference());
        double[] noisy = logits(m, m.seams().training(3, 7));
        assertThat(noisy).isNotEqualTo(plain).isEqualTo(logits(m, m.seams().training(3, 7)))
                .isNotEqualTo(logits(m, m.seams().training(3, 8)));
    }

    private static double[] logits(SequenceClassifier m, Pass pass) {
        return m.logits(m.forward(TEXT, pass), pass).tensor().toDoubleArray();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "bert_mlm | is_decoder | true | is_decoder",
        "bert_mlm | add_cross_attention | true | add_cross_attention",
        "bert_mlm | position_embedding_type | \"relative_key\" | relative_key",
        "bert_mlm | hidden_act | \"swoosh\" | swoosh",
        "bert_mlm | a_new_kind_of_bias | 3 | a_new_kind_of_bias",
        "bert_mlm | pad_token_id | -1 | pad_token_id",
        "bert_cls | problem_type | \"guessing\" | guessing",
        "bert_cls | num_attention_heads | 5 | num_attention_heads",
        "distilbert_cls | n_heads | 5 | n_heads",
        "deberta_v2 | conv_kernel_size | 3 | conv_kernel_size",
        "deberta_v2 | pos_att_type | [\"p2p\"] | p2p",
        "deberta_v2 | pooler_hidden_size | 7 | pooler_hidden_size",
        "deberta_v2 | position_buckets | 2.5 | position_buckets"})
    void whatIsNotSupportedIsRefusedByName(String golden, String field, String value, String says) throws Exception {
        String config = config(golden).replaceFirst("\"" + field + "\": (\\[[^]]*]|[^,\\n]*),?", "").replaceFirst("\\{",
                "{ \"" + field + "\": " + value + ",").replaceFirst(",\\s*}$", "}");
        assertThatThrownBy(() -> build(config, Shelf.of(golden))).isInstanceOf(ModelException.class).hasMessageContaining(says);
    }
}
