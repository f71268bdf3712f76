package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Rational;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * IAPT: Instruction-Aware Prompt Tuning (Zhu et al., arXiv 2405.18203).
 *
 * <p>Before block i stand n rows made of the instruction's states {@code h [T, C]} that this block reads, in place of those
 * before the block before: {@code z = h W_down}, {@code A = softmax_T(z W_sa)}, {@code p = g_i(A^T z) W_up} with
 * {@code W_down [C, m]}, {@code W_sa [m, n]}, {@code W_up [m, C]} and a learnt rational function g_i ({@link Rational}) that begins
 * as GELU. Each row of a batch has its own. They are made once, when the instruction is read; after that they lie in the cache like
 * any virtual tokens. Trainable: {@code L (2 C m + m n) / k + 12 L}, where k blocks share their projections.
 *
 * <p>The instruction is what is given before anything is written: see {@code DecoderInput.instruction}. The paper optimises the
 * coefficients of g, whose names begin with {@link #ACTIVATION}, in alternation with the rest and on other data (bilevel, first
 * order): two optimisers over two selections of {@code Adapter.trainables()}.
 *
 * @param numVirtualTokens n
 * @param encoderHiddenSize m
 * @param layersPerEncoder k
 */
public record Iapt(int numVirtualTokens, int encoderHiddenSize, int layersPerEncoder, List<String> modulesToSave) implements TuningMethod {
    /** How the names of the activations' coefficients begin. */
    public static final String ACTIVATION = "activation.";

    /** No instruction is this far from another in a softmax. */
    private static final double NEVER = -1e9;

    public static final Iapt DEFAULTS = new Iapt(4, 64, 1, List.of());

    @Override
    public Iapt withModulesToSave(List<String> modules) {
        return new Iapt(numVirtualTokens, encoderHiddenSize, layersPerEncoder, modules);
    }

    @Override
    public String peftType() {
        return "IAPT";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        Backbone model = a.model();
        Require.positive("encoder_hidden_size", encoderHiddenSize);
        if (layersPerEncoder <= 0 || model.layers() % layersPerEncoder != 0) {
            throw new AdapterException("layers_per_encoder is " + layersPerEncoder + "; it must divide the model's " + model.layers() + " layers.");
        }
        Prompts prompts = Prompts.of(a, "IAPT", numVirtualTokens);
        if (!(model instanceof CausalLm) || !prompts.site().layered()) {
            throw new AdapterException("IAPT makes virtual tokens before every block of a decoder, and a " + model.modelType()
                    + " model has no place for that. Choose another method.");
        }
        List<Generator> generators = new ArrayList<>();
        for (int i = 0; i < model.layers(); i++) {
            Var above = a.trainable(ACTIVATION + i + ".numerator", coefficients(Rational.geluNumerator()), Rational.geluNumerator().length);
            Var below = a.trainable(ACTIVATION + i + ".denominator", coefficients(Rational.geluDenominator()), Rational.geluDenominator().length);
            generators.add(i % layersPerEncoder == 0 ? generator(a, i / layersPerEncoder, prompts.site().hiddenSize(), above, below)
                    : generators.getLast().with(above, below));
        }
        a.virtualTokens(prompts.site(), new Prompt(numVirtualTokens, generators));
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private Generator generator(Attachment a, int number, long width, Var above, Var below) {
        String key = "prompt_generator." + number;
        return new Generator(a.trainable(key + ".down.weight", Init.KAIMING, encoderHiddenSize, width),
                a.trainable(key + ".query.weight", Init.KAIMING, numVirtualTokens, encoderHiddenSize),
                a.trainable(key + ".up.weight", Init.KAIMING, width, encoderHiddenSize), above, below);
    }

    private static Init coefficients(double[] values) {
        return (b, type, seed, stream, shape) -> Tensor.of(b, type, values, shape);
    }

    /** One block's, with weights as torch's Linear stores them: transposed. */
    private record Generator(Var down, Var query, Var up, Var above, Var below) {
        Generator with(Var numerator, Var denominator) {
            return new Generator(down, query, up, numerator, denominator);
        }

        /** {@code p = g(A^T z) W_up}, {@code [B, n, C]}. */
        Var prompt(VirtualTokens.Text text) {
            Var z = Linear.apply(text.states(), down);
            Var known = text.instruction().reshape(z.size(0), z.size(1), 1);
            Var weights = Softmax.softmax(Linear.apply(z, query).add(known.add(-1).mul(-NEVER)), 1);
            return Linear.apply(Rational.apply(weights.transpose(1, 2).matmul(z), above, below), up);
        }
    }

    private record Prompt(long count, List<Generator> generators) implements VirtualTokens {
        @Override
        public Var rows(Text text, Pass pass) {
            return generators.getFirst().prompt(text);
        }

        @Override
        public Optional<Var> rows(int layer, Text text, Pass pass) {
            return Optional.of(generators.get(layer).prompt(text));
        }

        @Override
        public boolean readText() {
            return true;
        }

        @Override
        public boolean areLayered() {
            return true;
        }
    }
}
