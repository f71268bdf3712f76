package dev.jotune.peft;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every field that PEFT may write for a method that is registered here changes what is read, or is refused by its name, or is
 * known to say nothing; none is passed over in silence.
 */
class PeftFieldsTest {
    private static final List<String> LORA = List.of("r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out",
            "bias", "use_rslora", "modules_to_save", "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern",
            "alpha_pattern", "megatron_config", "megatron_core", "trainable_token_indices", "loftq_config", "eva_config", "corda_config",
            "lora_ga_config", "use_dora", "velora_config", "alora_invocation_tokens", "use_qalora", "qalora_group_size", "monteclora_config",
            "layer_replication", "runtime_config", "lora_bias", "target_parameters", "use_bdlora", "arrow_config", "kasa_config",
            "ensure_weight_tying");
    private static final List<String> PROMPTS = List.of("num_virtual_tokens", "token_dim", "num_transformer_submodules",
            "num_attention_heads", "num_layers", "modules_to_save");

    /** PEFT's fields by {@code peft_type}. */
    private static final Map<String, List<String>> FIELDS = Map.ofEntries(
            entry("LORA", LORA),
            entry("ADALORA", and(LORA, "target_r", "init_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight", "total_step")),
            entry("IA3", List.of("target_modules", "exclude_modules", "feedforward_modules", "fan_in_fan_out", "modules_to_save",
                    "init_ia3_weights")),
            entry("VERA", List.of("r", "target_modules", "projection_prng_key", "save_projection", "vera_dropout", "d_initial", "fan_in_fan_out",
                    "bias", "modules_to_save", "init_weights", "layers_to_transform", "layers_pattern")),
            entry("OFT", List.of("r", "oft_block_size", "module_dropout", "target_modules", "fan_in_fan_out", "bias", "exclude_modules",
                    "init_weights", "layers_to_transform", "layers_pattern", "modules_to_save", "coft", "eps", "block_share",
                    "use_cayley_neumann", "num_cayley_neumann_terms")),
            entry("SHIRA", List.of("r", "mask_type", "random_seed", "target_modules", "fan_in_fan_out", "init_weights", "modules_to_save")),
            entry("PREFIX_TUNING", and(PROMPTS, "init_weights", "encoder_hidden_size", "prefix_projection")),
            entry("PROMPT_TUNING", and(PROMPTS, "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs")),
            entry("P_TUNING", and(PROMPTS, "encoder_reparameterization_type", "encoder_hidden_size", "encoder_num_layers", "encoder_dropout")),
            entry("ADAPTION_PROMPT", List.of("target_modules", "adapter_len", "adapter_layers")));

    /** A value of each field that no method has by default. */
    private static final Map<String, Object> PROBES = probes();

    /** Fields that change nothing about a saved adapter, with the reason. */
    private static final Map<String, String> SAY_NOTHING = Map.ofEntries(
            entry("fan_in_fan_out", "how the base stores its weights, which the model knows"),
            entry("megatron_config", "how the base is spread over machines"),
            entry("megatron_core", "how the base is spread over machines"),
            entry("loftq_config", "how a start was made; the start itself is refused"),
            entry("eva_config", "how a start was made, which the file's tensors replace"),
            entry("corda_config", "how a start was made; the start itself is refused"),
            entry("lora_ga_config", "how a start was made; the start itself is refused"),
            entry("use_qalora", "read by PEFT for quantised layers of one library alone"),
            entry("qalora_group_size", "goes with use_qalora"),
            entry("runtime_config", "is never written"),
            entry("token_dim", "the model's own shape"),
            entry("num_transformer_submodules", "the model's own shape"),
            entry("num_attention_heads", "the model's own shape"),
            entry("num_layers", "the model's own shape"),
            entry("tokenizer_kwargs", "how a start was made"),
            entry("ADALORA use_rslora", "LoRA's, which PEFT does not read for AdaLoRA: its scale is its own"),
            entry("ADALORA alpha_pattern", "LoRA's, which PEFT does not read for AdaLoRA"),
            entry("ADALORA lora_bias", "LoRA's, which PEFT does not read for AdaLoRA"),
            entry("ADALORA init_lora_weights", "any of LoRA's words is a yes, which is the default"));

    private static List<String> and(List<String> fields, String... more) {
        return Stream.concat(fields.stream(), Stream.of(more)).toList();
    }

    private static Map<String, Object> probes() {
        Map<String, Object> out = new TreeMap<>();
        List.of("use_rslora", "use_dora", "use_qalora", "lora_bias", "ensure_weight_tying", "coft", "block_share", "prefix_projection",
                "fan_in_fan_out").forEach(f -> out.put(f, true));
        List.of("init_ia3_weights", "save_projection", "use_cayley_neumann").forEach(f -> out.put(f, false));
        List.of("r", "lora_alpha", "qalora_group_size", "target_r", "init_r", "tinit", "tfinal", "deltaT", "total_step", "projection_prng_key",
                "oft_block_size", "num_cayley_neumann_terms", "random_seed", "num_virtual_tokens", "token_dim", "num_transformer_submodules",
                "num_attention_heads", "num_layers", "encoder_hidden_size", "encoder_num_layers", "adapter_len", "adapter_layers")
                .forEach(f -> out.put(f, 7));
        List.of("lora_dropout", "vera_dropout", "module_dropout", "encoder_dropout", "beta1", "beta2", "orth_reg_weight", "d_initial", "eps")
                .forEach(f -> out.put(f, 0.25));
        List.of("target_modules", "exclude_modules", "feedforward_modules", "modules_to_save", "layers_pattern", "target_parameters")
                .forEach(f -> out.put(f, List.of("k_proj")));
        List.of("rank_pattern", "alpha_pattern").forEach(f -> out.put(f, Map.of("k_proj", 5)));
        List.of("megatron_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "velora_config", "monteclora_config",
                "runtime_config", "use_bdlora", "arrow_config", "kasa_config", "tokenizer_kwargs").forEach(f -> out.put(f, Map.of("any", 1)));
        List.of("megatron_core", "mask_type", "prompt_tuning_init_text", "tokenizer_name_or_path").forEach(f -> out.put(f, "other"));
        out.putAll(Map.of("bias", "all", "init_lora_weights", "gaussian", "layers_to_transform", List.of(1), "trainable_token_indices", List.of(3),
                "alora_invocation_tokens", List.of(3), "layer_replication", List.of(List.of(0, 2)), "prompt_tuning_init", "SAMPLE_VOCAB",
                "encoder_reparameterization_type", "LSTM"));
        return out;
    }

    private static String text(Map<String, Object> config) {
        return JsonMapper.builder().build().valueToTree(config).toString();
    }

    private static Object probe(String type, String field) {
        if (field.equals("init_weights")) {
            return type.equals("PREFIX_TUNING") ? "zero" : false;
        }
        return type.equals("ADAPTION_PROMPT") && field.equals("target_modules") ? "attn" : PROBES.get(field);
    }

    @Test
    void everyFieldIsHonouredOrRefusedByName() {
        assertThat(Methods.all().stream().map(MethodInfo::peftType)).containsAll(FIELDS.keySet());
        List<String> silent = new ArrayList<>();
        Map<String, String> refused = new LinkedHashMap<>();
        FIELDS.forEach((type, fields) -> fields.forEach(field -> {
            assertThat(probe(type, field)).as("a probe of %s", field).isNotNull();
            Map<String, Object> config = new LinkedHashMap<>(Map.of("peft_type", type));
            TuningMethod plain = AdapterConfig.read(text(config), "plain");
            config.put(field, probe(type, field));
            try {
                boolean changes = !AdapterConfig.read(text(config), "probed").equals(plain);
                if (changes == (SAY_NOTHING.containsKey(field) || SAY_NOTHING.containsKey(type + " " + field))) {
                    silent.add(type + " " + field + (changes ? " changes what is read, and stands here as saying nothing" : " is passed over"));
                }
            } catch (AdapterException e) {
                refused.put(type + " " + field, e.getMessage());
            }
        }));
        assertThat(silent).isEmpty();
        refused.forEach((field, message) -> assertThat(message).as(field).contains("'" + field.split(" ")[1] + "'"));
        assertThat(refused.keySet()).contains("LORA kasa_config", "LORA alora_invocation_tokens", "LORA layer_replication",
                "LORA arrow_config", "LORA velora_config", "LORA monteclora_config", "LORA use_bdlora", "ADALORA use_dora");
        assertThat(refused.keySet()).as("of these methods nothing is refused").noneMatch(f -> Set.of("OFT", "IA3", "SHIRA", "PREFIX_TUNING",
                "PROMPT_TUNING", "P_TUNING", "ADAPTION_PROMPT").contains(f.split(" ")[0]));
    }
}
