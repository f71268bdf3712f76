package dev.jotune.models.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.AudioClassifier;
import dev.jotune.models.Config;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.ImageClassifier;
import dev.jotune.models.ImageInput;
import dev.jotune.models.ImageModel;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.ProblemType;
import dev.jotune.models.ast.AstClassifier;
import dev.jotune.models.clip.Clip;
import dev.jotune.models.clip.ClipConfig;
import dev.jotune.models.clip.ClipText;
import dev.jotune.models.clip.ClipVision;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.models.vit.ViT;
import dev.jotune.models.vit.ViTClassifier;
import dev.jotune.models.vit.ViTConfig;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What the golden cases of ViT, CLIP and the Audio Spectrogram Transformer do not show. */
class PatchModelsTest {
    private static final Backend BACKEND = Backends.reference();

    private static <T extends dev.jotune.models.Backbone> T load(String id, Class<T> kind) {
        return Models.load(Golden.cases("models", id).findFirst().orElseThrow().folder(), BACKEND, DType.F64).as(kind);
    }

    private static Var noise(int seed, long... shape) {
        double[] values = new double[Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b))];
        Arrays.setAll(values, i -> Philox.normal(seed, 0, i));
        return Var.constant(Tensor.of(BACKEND, DType.F64, values, shape));
    }

    private static Var pictures(ViTConfig c, int batch) {
        return noise(3, batch, c.numChannels(), c.imageSize().getFirst(), c.imageSize().getLast());
    }

    private static Hooks virtual(String name, String site, Var rows) {
        VirtualTokens tokens = new VirtualTokens() {
            @Override
            public long count() {
                return rows.size(0);
            }

            @Override
            public Var rows(Text text, Pass pass) {
                return rows;
            }
        };
        return new Hooks(name, Map.of(), Map.of(), Optional.empty(), Map.of(site, tokens), Map.of());
    }

    private static double[] logits(ViTClassifier m, Var pixels, Pass pass) {
        return m.logits(m.forward(ImageInput.of(pixels), pass), pass).tensor().toDoubleArray();
    }

    @Test
    void itDoesNotMatterWhereAmongPatchesVirtualTokensStand() {
        ViTClassifier m = load("vit", ViTClassifier.class);
        Var x = pictures(m.config(), 2);
        double[] bare = logits(m, x, m.seams().inference());
        m.seams().attach(virtual("a", "embed", noise(1, 3, m.hiddenSize())));
        m.seams().attach(virtual("b", "embed", noise(2, 2, m.hiddenSize())));
        double[] ab = logits(m, x, m.seams().inference());
        m.seams().activate("b", "a");
        assertThat(logits(m, x, m.seams().inference())).containsExactly(ab, within(1e-12));
        assertThat(ab[0]).isNotCloseTo(bare[0], within(1e-6));
        Hidden hidden = m.forward(ImageInput.of(x), m.seams().inference());
        assertThat(hidden.virtualTokens()).isEqualTo(5);
        m.seams().activate();
        assertThat(hidden.text().size(1)).isEqualTo(m.forward(ImageInput.of(x), m.seams().inference()).states().size(1));
    }

    @Test
    void rowsUnderDifferentNumbersOfVirtualTokensAreAsIfAlone() {
        ViTClassifier m = load("vit", ViTClassifier.class);
        m.seams().attach(virtual("a", "embed", noise(1, 3, m.hiddenSize())));
        m.seams().attach(virtual("b", "embed", noise(2, 1, m.hiddenSize())));
        Var x = pictures(m.config(), 3);
        double[] together = logits(m, x, m.seams().rows(List.of("a", "", "b")));
        int each = together.length / 3;
        for (int row = 0; row < 3; row++) {
            double[] alone = logits(m, x.slice(0, row, row + 1), m.seams().rows(List.of(List.of("a", "", "b").get(row))));
            assertThat(Arrays.copyOfRange(together, row * each, (row + 1) * each)).containsExactly(alone, within(1e-12));
        }
    }

    @Test
    void aPictureOfTheTrainedSizeIsTheSameInterpolatedOrNot() {
        ViTClassifier m = load("vit", ViTClassifier.class);
        Pass pass = m.seams().inference();
        Var x = pictures(m.config(), 1);
        assertThat(m.logits(m.forward(ImageInput.of(x).interpolated(), pass), pass).tensor().toDoubleArray()).isEqualTo(logits(m, x, pass));
    }

    @Test
    void inputsThatDoNotFitAreRefused() {
        ViTClassifier m = load("vit", ViTClassifier.class);
        Pass pass = m.seams().inference();
        ViTConfig c = m.config();
        int side = c.imageSize().getFirst();
        assertThatThrownBy(() -> m.forward(ImageInput.of(noise(1, 1, c.numChannels(), side + 4, side)), pass))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining(side + 4 + " by " + side);
        assertThatThrownBy(() -> m.forward(ImageInput.of(noise(1, 1, c.numChannels() + 1, side, side)), pass))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("[B, " + c.numChannels());
        assertThatThrownBy(() -> m.forward(ImageInput.of(noise(1, 1, c.numChannels(), 1, side)).interpolated(), pass))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("at least one patch");
        AstClassifier sounds = load("ast", AstClassifier.class);
        assertThatThrownBy(() -> sounds.forward(noise(1, 1, sounds.config().maxLength() + 1, sounds.config().numMelBins()),
                sounds.seams().inference())).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("got [1, ");
    }

    @Test
    void recomputingBlocksChangesNoGradient() {
        ViTClassifier m = load("vit", ViTClassifier.class);
        for (Parameter p : m.seams().parameters().values()) {
            p.replace(Var.parameter(p.base().tensor()));
        }
        List<Var> all = m.seams().parameters().values().stream().map(Parameter::base).toList();
        Var x = pictures(m.config(), 2);
        Tensor labels = Tensor.of(BACKEND, new long[] {0, 1}, 2);
        List<double[]> plain = Gradients.of(m.loss(ImageInput.of(x), labels, m.seams().inference()), all).stream()
                .map(Tensor::toDoubleArray).toList();
        m.setCheckpointing(true);
        List<Tensor> again = Gradients.of(m.loss(ImageInput.of(x), labels, m.seams().inference()), all);
        for (int i = 0; i < plain.size(); i++) {
            assertThat(again.get(i).toDoubleArray()).isEqualTo(plain.get(i));
        }
    }

    @Test
    void withoutAHeadThereAreFeaturesButNoClasses() {
        Golden.Case golden = Golden.cases("models", "vit").findFirst().orElseThrow();
        Config config = Config.read(golden.file("config.json"));
        ViT bare = ViT.load(ViTConfig.read(config), StoredWeights.of(golden).without("classifier."), BACKEND, DType.F64);
        assertThat(bare).isNotInstanceOf(ImageClassifier.class);
        assertThatThrownBy(() -> bare.as(ImageClassifier.class)).isInstanceOf(ModelException.class).hasMessageContaining("ImageClassifier");
        Pass pass = bare.seams().inference();
        Hidden hidden = bare.forward(ImageInput.of(pictures(bare.config(), 2)), pass);
        double[] first = bare.features(hidden, pass).tensor().toDoubleArray();
        assertThat(first).isEqualTo(hidden.states().select(1, 0).tensor().toDoubleArray());
        // The pooler of ViTModel: tanh of a linear map of the same state; here the map doubles.
        int c = bare.hiddenSize();
        double[] twice = new double[c * c];
        for (int i = 0; i < c; i++) {
            twice[i * c + i] = 2;
        }
        ViT pooled = ViT.load(bare.config(), StoredWeights.of(golden).without("classifier.")
                .with("vit.pooler.dense.weight", Tensor.of(BACKEND, DType.F32, twice, c, c))
                .with("vit.pooler.dense.bias", Tensor.zeros(BACKEND, DType.F32, c)), BACKEND, DType.F64);
        double[] want = Arrays.stream(first).map(v -> Math.tanh(2 * v)).toArray();
        assertThat(pooled.features(hidden, pass).tensor().toDoubleArray()).containsExactly(want, within(1e-12));
    }

    @Test
    void numbersAsLabelsAreSeveralLabels() {
        AudioClassifier m = load("ast", AudioClassifier.class);
        AstClassifier ast = (AstClassifier) m;
        Var x = noise(5, 2, ast.config().maxLength(), ast.config().numMelBins());
        Pass pass = m.seams().inference();
        int n = m.labels().size();
        double[] targets = new double[2 * n];
        Arrays.setAll(targets, i -> i % 3 == 0 ? 1 : 0);
        double[] logits = m.logits(m.forward(x, pass), pass).tensor().toDoubleArray();
        double want = 0;
        for (int i = 0; i < logits.length; i++) {
            want += (Math.log1p(Math.exp(logits[i])) - targets[i] * logits[i]) / logits.length;
        }
        Tensor labels = Tensor.of(BACKEND, DType.F64, targets, 2, n);
        assertThat(m.loss(x, labels, pass).item()).isCloseTo(want, within(1e-10));
        assertThatThrownBy(() -> ProblemType.MULTI_LABEL_CLASSIFICATION.loss(noise(1, 2, n), labels.slice(0, 0, 1)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("do not fit");
    }

    // ---- CLIP ----

    private static EncoderInput texts(Clip m, long... ids) {
        return EncoderInput.of(Tensor.of(BACKEND, ids, 1, ids.length));
    }

    @Test
    void aTextIsItsFirstEndTokenOrItsLargestIdWhereTheConfigurationIsOld() {
        Clip today = load("clip", Clip.class);
        long end = today.config().text().eosTokenId();
        Clip old = Models.load(Golden.cases("models", "clip_legacy_eos").findFirst().orElseThrow().folder(), BACKEND, DType.F64)
                .as(Clip.class);
        assertThat(old.config().text().eosTokenId()).isEqualTo(2);
        long largest = old.config().text().vocabSize() - 1;
        assertThat(pooledAt(today.text(), texts(today, 5, 6, end, 7, end))).isEqualTo(2);
        assertThat(pooledAt(today.text(), texts(today, 5, 6, 7))).isZero();
        assertThat(pooledAt(old.text(), texts(old, 5, 2, 6, largest, 7, largest))).isEqualTo(3);
        old.seams().attach(virtual("a", "text.embed", noise(1, 2, old.hiddenSize())));
        assertThat(pooledAt(old.text(), texts(old, 5, 2, 6, largest, 7))).as("behind two virtual tokens").isEqualTo(5);
    }

    /** The position whose state is the pooled one. */
    private static int pooledAt(ClipText m, EncoderInput in) {
        Hidden hidden = m.forward(in, m.seams().inference());
        double[] pooled = m.pooled(hidden, in).tensor().toDoubleArray();
        List<Integer> found = new ArrayList<>();
        for (int t = 0; t < hidden.states().size(1); t++) {
            if (Arrays.equals(hidden.states().select(1, t).tensor().toDoubleArray(), pooled)) {
                found.add(t);
            }
        }
        assertThat(found).hasSize(1);
        return found.getFirst();
    }

    @Test
    void aTextIsNotReadAsPackedWhateverItsPositions() {
        Clip m = load("clip", Clip.class);
        EncoderInput in = texts(m, 5, 6, 7, 8);
        Tensor jump = Tensor.of(BACKEND, new long[] {0, 1, 0, 1}, 1, 4);
        Pass pass = m.seams().inference();
        double[] with = m.text().forward(in.withPositions(jump), pass).states().tensor().toDoubleArray();
        Tensor mask = Tensor.full(BACKEND, DType.F64, 1, 1, 4);
        assertThat(m.text().forward(in.withMask(mask).withPositions(jump), pass).states().tensor().toDoubleArray()).isEqualTo(with);
    }

    @Test
    void towersAloneAreTheTowersOfTheWhole() {
        Golden.Case golden = Golden.cases("models", "clip").findFirst().orElseThrow();
        Clip whole = load("clip", Clip.class);
        ClipConfig c = whole.config();
        // Stored by transformers 4 under the part's name, by 5 without.
        for (String prefix : List.of("", "text_model.")) {
            ClipText text = ClipText.load(c.text(), StoredWeights.of(golden).renamed("text_model.", prefix), BACKEND, DType.F64);
            EncoderInput in = texts(whole, 5, 6, c.text().eosTokenId());
            assertThat(text.forward(in, text.seams().inference()).states().tensor().toDoubleArray())
                    .isEqualTo(whole.text().forward(in, whole.seams().inference()).states().tensor().toDoubleArray());
        }
        for (String prefix : List.of("", "vision_model.")) {
            ImageModel vision = ClipVision.load(c.vision(), StoredWeights.of(golden).renamed("vision_model.", prefix), BACKEND, DType.F64);
            ImageInput in = ImageInput.of(noise(4, 1, c.vision().numChannels(), c.vision().imageSize().getFirst(),
                    c.vision().imageSize().getLast()));
            Pass pass = vision.seams().inference();
            assertThat(vision.features(vision.forward(in, pass), pass).tensor().toDoubleArray()).isEqualTo(
                    whole.vision().features(whole.vision().forward(in, pass), pass).tensor().toDoubleArray());
        }
    }

    @Test
    void whatClipCannotReadIsRefused() {
        Clip m = load("clip", Clip.class);
        Pass pass = m.seams().inference();
        EncoderInput in = texts(m, 5, 6);
        assertThatThrownBy(() -> m.textFeatures(in.withTokenTypes(in.ids().orElseThrow()), pass)).hasMessageContaining("token types");
        assertThatThrownBy(() -> m.textFeatures(EncoderInput.of(noise(1, 1, 3, m.hiddenSize())), pass)).hasMessageContaining("token ids");
        assertThatThrownBy(() -> m.textFeatures(texts(m, new long[m.contextLength() + 1]), pass))
                .hasMessageContaining("context is " + m.contextLength());
        ClipConfig.Vision v = m.config().vision();
        ImageInput two = ImageInput.of(noise(1, 2, v.numChannels(), v.imageSize().getFirst(), v.imageSize().getLast()));
        assertThatThrownBy(() -> Recording.off(() -> m.loss(in, two, pass))).hasMessageContaining("1 texts and 2 pictures");
    }

    @Test
    void configurationsAreReadWholeOrRefused() {
        ClipConfig c = ClipConfig.read(Config.parse("""
                {"model_type": "clip", "projection_dim": 768, "text_config": {"hidden_size": 512, "eos_token_id": 2},
                 "text_config_dict": {"hidden_size": 768, "num_attention_heads": 12, "projection_dim": 768},
                 "vision_config": {"patch_size": 14}, "vision_config_dict": null}""", "config.json"));
        // The dictionary of old files counts, and what it leaves out is the default, not what the other says.
        assertThat(c.text().tower().hiddenSize()).isEqualTo(768);
        assertThat(c.text().eosTokenId()).isEqualTo(49407);
        assertThat(c.vision().patchSize()).containsExactly(14, 14);
        refused("{\"model_type\": \"clip\", \"text_config\": {\"rope_theta\": 10000}}", "text_config has fields", "rope_theta");
        refused("{\"model_type\": \"clip\", \"vision_config\": {\"hidden_size\": 100, \"num_attention_heads\": 3}}", "100 is not a multiple");
        refused("{\"model_type\": \"vit\", \"layer_scale\": 0.1}", "layer_scale");
        refused("{\"model_type\": \"vit\", \"image_size\": [1, 2, 3]}", "image_size");
        refused("{\"model_type\": \"vit\", \"patch_size\": 0}", "patch_size");
        refused("{\"model_type\": \"audio-spectrogram-transformer\", \"hidden_act\": \"swishy\"}", "hidden_act", "swishy");
    }

    @Test
    void towersThatOldFilesDescribeAtLengthAreRead() {
        // As published by OpenAI with transformers 4.16; only the fields that are not null, false or empty matter.
        ClipConfig c = ClipConfig.read(Config.parse("""
                {"_name_or_path": "openai/clip-vit-base-patch32", "architectures": ["CLIPModel"], "initializer_factor": 1.0,
                 "logit_scale_init_value": 2.6592, "model_type": "clip", "projection_dim": 512, "torch_dtype": "float32",
                 "transformers_version": null, "text_config_dict": null, "vision_config_dict": null,
                 "text_config": {"_name_or_path": "", "add_cross_attention": false, "attention_dropout": 0.0, "bos_token_id": 0,
                  "chunk_size_feed_forward": 0, "cross_attention_hidden_size": null, "diversity_penalty": 0.0, "do_sample": false,
                  "dropout": 0.0, "encoder_no_repeat_ngram_size": 0, "eos_token_id": 2, "hidden_act": "quick_gelu",
                  "hidden_size": 512, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "initializer_factor": 1.0,
                  "initializer_range": 0.02, "intermediate_size": 2048, "is_encoder_decoder": false,
                  "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "layer_norm_eps": 1e-05, "length_penalty": 1.0, "max_length": 20,
                  "max_position_embeddings": 77, "min_length": 0, "model_type": "clip_text_model", "no_repeat_ngram_size": 0,
                  "num_attention_heads": 8, "num_beam_groups": 1, "num_beams": 1, "num_hidden_layers": 12,
                  "num_return_sequences": 1, "pad_token_id": 1, "projection_dim": 512, "pruned_heads": {},
                  "repetition_penalty": 1.0, "return_dict": true, "temperature": 1.0, "tie_encoder_decoder": false,
                  "tie_word_embeddings": true, "top_k": 50, "top_p": 1.0, "typical_p": 1.0, "use_bfloat16": false,
                  "vocab_size": 49408},
                 "vision_config": {"image_size": 224, "patch_size": 32, "hidden_size": 768, "num_attention_heads": 12}}""", "config.json"));
        assertThat(c.text().eosTokenId()).isEqualTo(2);
        assertThat(c.vision().tower().intermediateSize()).isEqualTo(3072);
    }

    private static void refused(String json, String... words) {
        Config config = Config.parse(json, "config.json");
        assertThatThrownBy(() -> dev.jotune.models.Architectures.build(config, StoredWeights.NONE, BACKEND, DType.F64))
                .isInstanceOf(ModelException.class).hasMessageContainingAll(words);
    }
}
