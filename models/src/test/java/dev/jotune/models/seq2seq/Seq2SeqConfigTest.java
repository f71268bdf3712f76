package dev.jotune.models.seq2seq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Architectures;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.ModelException;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.Weights;
import dev.jotune.models.bart.BartConfig;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.t5.T5Config;
import dev.jotune.models.whisper.WhisperConfig;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Configurations as they are published, and ones that must be refused. */
class Seq2SeqConfigTest {
    /** Weights of which only names are known. */
    private static Weights.Source holding(String... names) {
        return new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return List.of(names).contains(name);
            }

            @Override
            public Tensor get(String name) {
                throw new AssertionError("no weight is read here, but " + name);
            }

            @Override
            public String origin() {
                return "names";
            }
        };
    }

    private static T5Config t5(String fields, String... weights) {
        return T5Config.read(Config.parse("{\"vocab_size\": 32, \"d_model\": 16" + fields + "}", "a T5"), holding(weights));
    }

    @Test
    void theFirstT5TiesItsHeadAndTheSecondDoesNot() {
        T5Config first = t5("""
                , "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "n_positions": 512, "num_heads": 8,
                "output_past": true, "is_encoder_decoder": true, "initializer_factor": 1.0, "dropout_rate": 0.1, "use_cache": true,
                "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
                "task_specific_params": {"summarization": {"prefix": "summarize: "}}""");
        assertThat(first.tied()).isTrue();
        assertThat(first.scaleOutputs()).isTrue();
        assertThat(first.gated()).isFalse();
        assertThat(first.activation()).isEqualTo("relu");
        assertThat(first.numDecoderLayers()).isEqualTo(first.numLayers());
        T5Config second = t5(", \"feed_forward_proj\": \"gated-gelu\", \"tie_word_embeddings\": false, \"num_decoder_layers\": 3",
                "lm_head.weight");
        assertThat(second.tied()).isFalse();
        assertThat(second.scaleOutputs()).isFalse();
        assertThat(second.gated()).isTrue();
        assertThat(second.activation()).as("the tanh form").isEqualTo("gelu_new");
        assertThat(second.numDecoderLayers()).isEqualTo(3);
        assertThat(t5(", \"feed_forward_proj\": \"gated-silu\"").activation()).isEqualTo("silu");
    }

    @Test
    void whatT5CannotBeIsRefusedByName() {
        assertThatThrownBy(() -> t5(", \"feed_forward_proj\": \"twice-gelu\"")).isInstanceOf(ModelException.class)
                .hasMessageContaining("feed_forward_proj 'twice-gelu'");
        assertThatThrownBy(() -> t5(", \"relative_attention_num_buckets\": 2")).hasMessageContaining("relative_attention_num_buckets 2");
        assertThatThrownBy(() -> t5(", \"relative_attention_max_distance\": 16")).hasMessageContaining("relative_attention_max_distance 16");
        assertThatThrownBy(() -> t5(", \"sparse_step\": 2")).hasMessageContaining("sparse_step");
    }

    @Test
    void bartAsPublished() {
        BartConfig c = BartConfig.read(Config.parse("""
                {"_num_labels": 3, "activation_dropout": 0.0, "activation_function": "gelu", "add_final_layer_norm": false,
                 "architectures": ["BartForConditionalGeneration"], "attention_dropout": 0.0, "bos_token_id": 0, "classif_dropout": 0.0,
                 "d_model": 1024, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096, "decoder_layerdrop": 0.0, "decoder_layers": 12,
                 "decoder_start_token_id": 2, "dropout": 0.1, "early_stopping": true, "encoder_attention_heads": 16,
                 "encoder_ffn_dim": 4096, "encoder_layerdrop": 0.0, "encoder_layers": 12, "eos_token_id": 2, "force_bos_token_to_be_generated": true,
                 "forced_bos_token_id": 0, "forced_eos_token_id": 2, "init_std": 0.02, "is_encoder_decoder": true, "length_penalty": 2.0,
                 "max_length": 142, "max_position_embeddings": 1024, "min_length": 56, "model_type": "bart", "no_repeat_ngram_size": 3,
                 "normalize_before": false, "normalize_embedding": true, "num_beams": 4, "num_hidden_layers": 12, "output_past": true,
                 "pad_token_id": 1, "prefix": " ", "replacing_rate": 0, "scale_embedding": false, "student_decoder_layers": null,
                 "vocab_size": 50264}""", "bart"), holding());
        assertThat(c.tied()).isTrue();
        assertThat(c.padToken()).isEqualTo(1);
        String changed = "{\"vocab_size\": 9, \"d_model\": 8, \"encoder_layers\": 1, \"encoder_attention_heads\": 2, \"encoder_ffn_dim\": 4, "
                + "\"decoder_layers\": 1, \"decoder_attention_heads\": 2, \"decoder_ffn_dim\": 4, %s}";
        for (String field : List.of("normalize_before", "add_final_layer_norm", "static_position_embeddings")) {
            assertThatThrownBy(() -> BartConfig.read(Config.parse(changed.formatted("\"" + field + "\": true"), "bart"), holding()))
                    .isInstanceOf(ModelException.class).hasMessageContaining(field);
        }
        assertThatThrownBy(() -> BartConfig.read(Config.parse(changed.formatted("\"normalize_embedding\": false"), "bart"), holding()))
                .hasMessageContaining("normalize_embedding");
    }

    @Test
    void whisperAsPublished() {
        WhisperConfig c = WhisperConfig.read(Config.parse("""
                {"activation_dropout": 0.0, "activation_function": "gelu", "architectures": ["WhisperForConditionalGeneration"],
                 "attention_dropout": 0.0, "begin_suppress_tokens": [220, 50257], "bos_token_id": 50257, "d_model": 384,
                 "decoder_attention_heads": 6, "decoder_ffn_dim": 1536, "decoder_layerdrop": 0.0, "decoder_layers": 4,
                 "decoder_start_token_id": 50258, "dropout": 0.0, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536,
                 "encoder_layerdrop": 0.0, "encoder_layers": 4, "eos_token_id": 50257, "forced_decoder_ids": [[1, 50259]], "init_std": 0.02,
                 "is_encoder_decoder": true, "max_length": 448, "max_source_positions": 1500, "max_target_positions": 448,
                 "model_type": "whisper", "num_hidden_layers": 4, "num_mel_bins": 80, "pad_token_id": 50257, "scale_embedding": false,
                 "suppress_tokens": [1, 2, 7], "torch_dtype": "float32", "transformers_version": "4.27.0.dev0", "use_cache": true,
                 "vocab_size": 51865}""", "whisper"), holding());
        assertThat(c.decoderStartToken()).isEqualTo(50258);
        assertThat(c.tied()).isTrue();
    }

    /** The file of the base model, saved without a head, has no {@code model.} before its names. */
    @Tag("golden")
    @Test
    void bartIsReadFromTheBaseModelsFileToo() throws IOException {
        Golden.Case c = Golden.cases("models", "bart").findFirst().orElseThrow();
        String json = Files.readString(c.file("config.json"));
        Weights.Source file = source(c);
        UnaryOperator<String> bare = name -> "model." + name;
        Seq2SeqLm whole = (Seq2SeqLm) Architectures.build(Config.parse(json, "whole"), file, Backends.reference(), DType.F64);
        Seq2SeqLm base = (Seq2SeqLm) Architectures.build(Config.parse(json, "base"), file.renamed(bare), Backends.reference(), DType.F64);
        assertThat(base.seams().parameters().keySet()).isEqualTo(whole.seams().parameters().keySet());
        assertThat(states(base)).isEqualTo(states(whole));
    }

    private static double[] states(Seq2SeqLm model) {
        Pass pass = model.seams().inference();
        Tensor ids = Tensor.of(model.backend(), new long[] {5, 6, 7}, 1, 3);
        return Recording.off(() -> model.decode(DecoderInput.of(ids), model.encode(EncoderInput.of(ids), pass), pass, Optional.empty()).states()
                .tensor()).toDoubleArray();
    }

    private static Weights.Source source(Golden.Case c) {
        return new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return Golden.open(c.file("model.safetensors")).contains(name);
            }

            @Override
            public Tensor get(String name) {
                Golden.Array a = Golden.array(c.file("model.safetensors"), name);
                return Tensor.of(Backends.reference(), DType.F64, a.values(), a.shape());
            }

            @Override
            public String origin() {
                return c.id();
            }
        };
    }
}
