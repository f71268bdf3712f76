package dev.jotune.models;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;

/**
 * Weights of a Llama or BERT that was never trained: matrices of deviation 0.02, norms 1, biases 0. For what depends on
 * shapes alone: benchmarks, and warming kernels up.
 *
 * @param type of the weights
 * @param vocabulary V
 * @param hidden C
 * @param inner F
 * @param keys features of all key heads, G D
 * @param positions rows of a table of positions, if the model has one
 */
public record RandomWeights(Backend backend, DType type, long vocabulary, long hidden, long inner, long keys, long positions)
        implements Weights.Source {

    /** The head is tied, and no classifier is there yet. */
    @Override
    public boolean contains(String path) {
        return !path.startsWith("lm_head") && !path.startsWith("classifier") && !path.startsWith("cls.");
    }

    @Override
    public Tensor get(String path) {
        long[] shape = shape(path);
        if (shape.length == 1) {
            return Tensor.full(backend, type, path.endsWith("bias") ? 0 : 1, shape);
        }
        try (Scope scope = Scope.open()) {
            Tensor noise = Tensor.empty(backend, DType.F32, shape);
            backend.uniform(noise, path.hashCode(), 0);
            return scope.keep(Recording.off(() -> Var.constant(noise).add(-0.5).mul(0.07)).tensor().to(type));
        }
    }

    private long[] shape(String path) {
        boolean bias = path.endsWith(".bias");
        if (path.endsWith("norm.weight") || path.contains("LayerNorm")) {
            return new long[] {hidden};
        }
        String module = path.substring(0, path.lastIndexOf('.'));
        String last = module.substring(module.lastIndexOf('.') + 1);
        return switch (last) {
            case "embed_tokens", "word_embeddings" -> new long[] {vocabulary, hidden};
            case "position_embeddings" -> new long[] {positions, hidden};
            case "token_type_embeddings" -> new long[] {2, hidden};
            case "k_proj", "v_proj" -> matrix(bias, keys, hidden);
            case "gate_proj", "up_proj" -> matrix(bias, inner, hidden);
            case "down_proj" -> matrix(bias, hidden, inner);
            // BERT's feed-forward layers have names that its attention has too.
            case "dense" -> module.contains("intermediate") ? matrix(bias, inner, hidden)
                    : module.contains("attention") || module.contains("pooler") ? matrix(bias, hidden, hidden) : matrix(bias, hidden, inner);
            case "norm", "input_layernorm", "post_attention_layernorm" -> new long[] {hidden};
            default -> matrix(bias, hidden, hidden);
        };
    }

    private static long[] matrix(boolean bias, long out, long in) {
        return bias ? new long[] {out} : new long[] {out, in};
    }

    @Override
    public String origin() {
        return "random weights";
    }
}
