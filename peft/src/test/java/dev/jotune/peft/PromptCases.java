package dev.jotune.peft;

import dev.jotune.models.decoder.DecoderConfig;
import java.util.List;
import java.util.Map;

/** {@link ContractCases} of the methods that make virtual tokens. */
final class PromptCases {
    static final Map<String, List<ContractCases.Case>> TABLE = Map.of("p-tuning", pTuning());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("p-tuning", senselessPTuning());

    private PromptCases() {}

    private static List<ContractCases.Case> pTuning() {
        return List.of(
                new ContractCases.Case("MLP", Map.of("num_virtual_tokens", 3, "encoder_hidden_size", 5), c -> mlp(c, 3, 5)),
                new ContractCases.Case("MLP at the model's width", Map.of("num_virtual_tokens", 2, "encoder_num_layers", 7),
                        c -> mlp(c, 2, c.hiddenSize())),
                new ContractCases.Case("LSTM", Map.of("num_virtual_tokens", 3, "encoder_reparameterization_type", "LSTM",
                        "encoder_hidden_size", 4, "encoder_num_layers", 2, "encoder_dropout", 0.2), c -> lstm(c, 3, 4)));
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
