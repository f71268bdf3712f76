package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;

/**
 * Residual Prompt Tuning (Razdaibiedina et al., arXiv 2305.03937).
 *
 * <p>The input becomes {@code [P'; E(x)]} with {@code P'_i = P_i + LN(U relu(D P_i + d) + u)}: trainable rows {@code P [n, C]},
 * which begin as embeddings of random tokens, and a network {@code D [m, C]}, {@code U [C, m]} with a skip that all rows share.
 * Trainable: {@code n C + 2 C m + m + C + 2 C}. A saved adapter holds P' alone, {@code n C} numbers: the network has done its
 * work when training ends, and what is loaded is trained on directly. An encoder-decoder has 2 n rows as under prompt tuning.
 *
 * @param numVirtualTokens n
 * @param encoderHiddenSize m; the paper takes 400 or 800
 * @param encoderDropout on what the network adds, while training
 * @param promptTuningInit {@code SAMPLE_VOCAB} as in the paper, {@code RANDOM} or {@code TEXT}: where P starts
 * @param promptTuningInitText for {@code TEXT}
 */
public record ResidualPromptTuning(int numVirtualTokens, int encoderHiddenSize, double encoderDropout, String promptTuningInit,
        Optional<String> promptTuningInitText, List<String> modulesToSave) implements TuningMethod {
    private static final String EMBEDDING = "embedding.weight";
    /** As torch's LayerNorm. */
    private static final double EPS = 1e-5;

    public static final ResidualPromptTuning DEFAULTS = new ResidualPromptTuning(10, 400, 0, "SAMPLE_VOCAB", Optional.empty(), List.of());

    @Override
    public ResidualPromptTuning withModulesToSave(List<String> modules) {
        return new ResidualPromptTuning(numVirtualTokens, encoderHiddenSize, encoderDropout, promptTuningInit, promptTuningInitText, modules);
    }

    @Override
    public String peftType() {
        return "RESIDUAL_PROMPT_TUNING";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("encoder_hidden_size", encoderHiddenSize);
        Require.dropout("encoder_dropout", encoderDropout);
        Prompts prompts = Prompts.of(a, "residual prompt tuning", numVirtualTokens);
        if (prompts.isEncoded(EMBEDDING)) {
            residual(a, prompts);
        } else {
            Var p = prompts.table(Init.ZEROS);
            prompts.stand(_ -> p);
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    /** {@code P' = P + LN(U relu(D P + d) + u)}. */
    private void residual(Attachment a, Prompts prompts) {
        long width = prompts.site().hiddenSize();
        long inner = encoderHiddenSize;
        Init start = a.isLoading() ? Init.ZEROS : prompts.start(promptTuningInit, promptTuningInitText);
        Var p = a.internal(EMBEDDING, start, prompts.rows(), width);
        Var down = a.internal("mlp.0.weight", Init.KAIMING, inner, width);
        Var downBias = a.internal("mlp.0.bias", Init.uniform(1 / Math.sqrt(width)), inner);
        Var up = a.internal("mlp.2.weight", Init.KAIMING, width, inner);
        Var upBias = a.internal("mlp.2.bias", Init.uniform(1 / Math.sqrt(inner)), width);
        Var gain = a.internal("norm.weight", Init.constant(1), width);
        Var shift = a.internal("norm.bias", Init.ZEROS, width);
        prompts.standEncoded(pass -> {
            Var h = Linear.apply(Activations.relu(Linear.apply(p, down, downBias)), up, upBias);
            Var added = Norms.layerNorm(h, gain, shift, EPS);
            return p.add(pass.training() ? Dropout.apply(added, encoderDropout, pass.seed(), pass.stream("residual prompt")) : added);
        });
    }
}
