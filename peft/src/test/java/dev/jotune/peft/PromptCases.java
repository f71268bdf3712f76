package dev.jotune.peft;

import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** {@link ContractCases} of the methods that make virtual tokens. */
final class PromptCases {
    static final Map<String, List<ContractCases.Case>> TABLE = Map.of("p-tuning", pTuning(), "residual-prompt", residual(),
            "iapt", iapt(), "hyper", hyper(), "prompt-gating", List.of());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("p-tuning", senselessPTuning(),
            "residual-prompt", senselessResidual(), "iapt", senselessIapt(), "hyper", senselessHyper());

    private PromptCases() {}

    private static List<ContractCases.Case> pTuning() {
        return List.of(
                new ContractCases.Case("MLP", Map.of("num_virtual_tokens", 3, "encoder_hidden_size", 5), c -> mlp(c, 3, 5)),
                new ContractCases.Case("MLP at the model's width", Map.of("num_virtual_tokens", 2, "encoder_num_layers", 7),
                        c -> mlp(c, 2, c.hiddenSize())),
                new ContractCases.Case("LSTM", Map.of("num_virtual_tokens", 3, "encoder_reparameterization_type", "LSTM",
                        "encoder_hidden_size", 4, "encoder_num_layers", 2, "encoder_dropout", 0.2), c -> lstm(c, 3, 4)));
    }

    private static List<ContractCases.Case> residual() {
        return List.of(
                new ContractCases.Case("from the vocabulary", Map.of("num_virtual_tokens", 3, "encoder_hidden_size", 5), c -> skip(c, 3, 5)),
                new ContractCases.Case("random, with dropout", Map.of("num_virtual_tokens", 3, "encoder_hidden_size", 6,
                        "encoder_dropout", 0.1, "prompt_tuning_init", "RANDOM"), c -> skip(c, 3, 6)),
                new ContractCases.Case("from a text", Map.of("num_virtual_tokens", 4, "encoder_hidden_size", 3,
                        "prompt_tuning_init", "TEXT", "prompt_tuning_init_text", "abc"), c -> skip(c, 4, 3)));
    }

    /** n d + 2 d m + m + d + 2 d. */
    private static long skip(DecoderConfig c, long n, long m) {
        long d = c.hiddenSize();
        return n * d + 2 * d * m + m + d + 2 * d;
    }

    private static Map<String, Map<String, ?>> senselessResidual() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "encoder_hidden_size is 0", Map.of("encoder_hidden_size", 0),
                "encoder_dropout is 1.0", Map.of("encoder_dropout", 1),
                "prompt_tuning_init is 'ZERO'", Map.of("prompt_tuning_init", "ZERO"),
                "has no tokens", Map.of("prompt_tuning_init", "TEXT", "prompt_tuning_init_text", ""));
    }

    private static List<ContractCases.Case> iapt() {
        return List.of(
                new ContractCases.Case("plain", Map.of("num_virtual_tokens", 2, "encoder_hidden_size", 3), c -> generators(c, 2, 3, 1)),
                new ContractCases.Case("shared", Map.of("num_virtual_tokens", 3, "encoder_hidden_size", 4, "layers_per_encoder", 2),
                        c -> generators(c, 3, 4, 2)));
    }

    /** L (d m + m l + m d) / k + 12 L. */
    private static long generators(DecoderConfig c, long n, long m, long k) {
        long d = c.hiddenSize();
        return c.numHiddenLayers() * (d * m + m * n + m * d) / k + 12L * c.numHiddenLayers();
    }

    private static Map<String, Map<String, ?>> senselessIapt() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "encoder_hidden_size is 0", Map.of("encoder_hidden_size", 0),
                "layers_per_encoder is 0", Map.of("layers_per_encoder", 0),
                "divide the model's 2 layers", Map.of("layers_per_encoder", 3));
    }

    private static List<ContractCases.Case> hyper() {
        return List.of(
                new ContractCases.Case("prefix", Map.of("num_virtual_tokens", 2, "encoder_hidden_size", 3, "train_encoder", false,
                        "examples", List.of(1, 5, 3)),
                        c -> 2L * c.hiddenSize() + c.numHiddenLayers() * head(c, 3, 2L * c.numKeyValueHeads() * c.headDim())),
                new ContractCases.Case("LoRA", Map.of("writes", "lora", "num_virtual_tokens", 2, "encoder_hidden_size", 3, "lora_alpha", 3,
                        "train_encoder", false, "target_modules", List.of("q_proj", "down_proj")), c -> 2L * c.hiddenSize() + written(c, 3)),
                new ContractCases.Case("LoRA by a model that trains", Map.of("writes", "lora", "num_virtual_tokens", 2,
                        "encoder_hidden_size", 3, "lora_alpha", 1, "target_modules", List.of("q_proj", "down_proj"), "examples", List.of(2, 4)),
                        c -> 2L * c.hiddenSize() + written(c, 3) + body(c)));
    }

    /** m (C + 1) + w (m + 1). */
    private static long head(DecoderConfig c, long m, long width) {
        return m * (c.hiddenSize() + 1) + width * (m + 1);
    }

    private static long written(DecoderConfig c, long m) {
        return Stream.of("q_proj", "down_proj").map(n -> TinyModels.linear(n, c))
                .mapToLong(s -> c.numHiddenLayers() * (head(c, m, s[0]) + head(c, m, s[1]))).sum();
    }

    /** All weights of the model but the head that is its own. */
    private static long body(DecoderConfig c) {
        return TinyModels.ALL.stream().filter(k -> k.config().equals(c)).findFirst().orElseThrow().make(Backends.cpu(), DType.F32)
                .seams().parameters().values().stream().filter(p -> !p.path().startsWith("lm_head")).mapToLong(p -> p.base().tensor().numel()).sum();
    }

    private static Map<String, Map<String, ?>> senselessHyper() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "encoder_hidden_size is 0", Map.of("encoder_hidden_size", 0),
                "it must be prefix or lora", Map.of("writes", "bias"),
                "it must hold token ids below 23", Map.of("examples", List.of(1, 23)),
                "examples is []", Map.of("examples", List.of()),
                "matches no linear layer", Map.of("writes", "lora", "target_modules", List.of("c_attn")));
    }

    /** e [n, C] and three layers with biases. */
    private static long mlp(DecoderConfig c, long n, long h) {
        long width = c.hiddenSize();
        return n * width + (width + 1) * h + (h + 1) * h + (h + 1) * width;
    }

    /** e [n, C], two layers of four gates in both directions with two biases, and two layers with biases. */
    private static long lstm(DecoderConfig c, long n, long h) {
        long width = c.hiddenSize();
        return n * width + 2 * 4 * h * (width + h + 2) + 2 * 4 * h * (2 * h + h + 2) + (2 * h + 1) * 2 * h + (2 * h + 1) * width;
    }

    private static Map<String, Map<String, ?>> senselessPTuning() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "64", Map.of("num_virtual_tokens", 65),
                "it must be MLP or LSTM", Map.of("encoder_reparameterization_type", "GRU"),
                "encoder_hidden_size is 0", Map.of("encoder_hidden_size", 0),
                "encoder_num_layers is 0", Map.of("encoder_num_layers", 0),
                "encoder_dropout is 1.0", Map.of("encoder_dropout", 1),
                "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x")));
    }
}
