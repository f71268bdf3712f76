package dev.jotune.peft.methods;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Lstm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * P-Tuning: GPT Understands, Too (Liu et al., arXiv 2103.10385).
 *
 * <p>The input becomes {@code [P; E(x)]} with rows {@code P [n, C]} that an encoder makes of trainable {@code e [n, C]}:
 * {@code P = MLP(e)} of three layers with ReLU between them and h inner features, or {@code P = MLP(LSTM(e))}, an LSTM over the
 * n rows of h features in both directions and an MLP of two layers with 2 h inner features. Trainable: e and the encoder,
 * {@code n C + h C + h + h^2 + h + C h + C} with the MLP; a saved adapter holds P alone, on which training goes on. An
 * encoder-decoder has 2 n rows, of which the first n are read, as in PEFT.
 *
 * @param numVirtualTokens n
 * @param encoderReparameterizationType {@code MLP} or {@code LSTM}
 * @param encoderHiddenSize h; absent: C
 * @param encoderNumLayers layers of the LSTM; the MLP has three, whatever this says
 * @param encoderDropout between the layers of the LSTM, while training
 */
public record PTuning(int numVirtualTokens, String encoderReparameterizationType,
        @JsonInclude(JsonInclude.Include.ALWAYS) Optional<Integer> encoderHiddenSize, int encoderNumLayers, double encoderDropout,
        List<String> modulesToSave) implements TuningMethod {
    private static final String EMBEDDING = "embedding.weight";

    public static final PTuning DEFAULTS = new PTuning(20, "MLP", Optional.empty(), 2, 0, List.of());

    @Override
    public PTuning withModulesToSave(List<String> modules) {
        return new PTuning(numVirtualTokens, encoderReparameterizationType, encoderHiddenSize, encoderNumLayers, encoderDropout, modules);
    }

    @Override
    public String peftType() {
        return "P_TUNING";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        check();
        Prompts prompts = Prompts.of(a, "P-tuning", numVirtualTokens);
        if (prompts.isEncoded(EMBEDDING)) {
            int width = prompts.site().hiddenSize();
            int inner = encoderHiddenSize.orElse(width);
            Var e = a.internal(EMBEDDING, Init.normal(1), prompts.rows(), width);
            prompts.standEncoded(encoderReparameterizationType.equals("LSTM") ? lstm(a, e, inner, width) : mlp(a, e, inner, width));
        } else {
            Var p = prompts.table(Init.ZEROS);
            prompts.stand(_ -> p);
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private void check() {
        if (!List.of("MLP", "LSTM").contains(encoderReparameterizationType)) {
            throw new AdapterException("encoder_reparameterization_type is '" + encoderReparameterizationType + "'; it must be MLP or LSTM.");
        }
        if (encoderHiddenSize.orElse(1) <= 0) {
            throw new AdapterException("encoder_hidden_size is " + encoderHiddenSize.get() + "; it must be positive or absent.");
        }
        Require.positive("encoder_num_layers", encoderNumLayers);
        Require.dropout("encoder_dropout", encoderDropout);
    }

    /** {@code W3 relu(W2 relu(W1 e + b1) + b2) + b3}. */
    private static Function<Pass, Var> mlp(Attachment a, Var e, long inner, long width) {
        UnaryOperator<Var> first = linear(a, 0, width, inner);
        UnaryOperator<Var> second = linear(a, 2, inner, inner);
        UnaryOperator<Var> third = linear(a, 4, inner, width);
        return _ -> third.apply(Activations.relu(second.apply(Activations.relu(first.apply(e)))));
    }

    /** {@code W2 relu(W1 LSTM(e) + b1) + b2}. */
    private Function<Pass, Var> lstm(Attachment a, Var e, long inner, long width) {
        List<Lstm.Cell[]> layers = new ArrayList<>();
        for (int i = 0; i < encoderNumLayers; i++) {
            long in = i == 0 ? width : 2 * inner;
            layers.add(new Lstm.Cell[] {cell(a, "_l" + i, in, inner), cell(a, "_l" + i + "_reverse", in, inner)});
        }
        UnaryOperator<Var> first = linear(a, 0, 2 * inner, 2 * inner);
        UnaryOperator<Var> second = linear(a, 2, 2 * inner, width);
        return pass -> {
            Var h = e.reshape(1, e.size(0), width);
            for (int i = 0; i < encoderNumLayers; i++) {
                Var in = i > 0 && pass.training() ? Dropout.apply(h, encoderDropout, pass.seed(), pass.stream("lstm_head." + i)) : h;
                h = Lstm.bidirectional(in, layers.get(i)[0], layers.get(i)[1]);
            }
            return second.apply(Activations.relu(first.apply(h))).reshape(e.size(0), width);
        };
    }

    private static UnaryOperator<Var> linear(Attachment a, int number, long in, long out) {
        Var w = a.internal("mlp_head." + number + ".weight", Init.KAIMING, out, in);
        Var b = a.internal("mlp_head." + number + ".bias", Init.uniform(1 / Math.sqrt(in)), out);
        return x -> Linear.apply(x, w, b);
    }

    private static Lstm.Cell cell(Attachment a, String name, long in, long size) {
        Init start = Init.uniform(1 / Math.sqrt(size));
        return new Lstm.Cell(a.internal("lstm_head.weight_ih" + name, start, 4 * size, in),
                a.internal("lstm_head.weight_hh" + name, start, 4 * size, size),
                a.internal("lstm_head.bias_ih" + name, start, 4 * size), a.internal("lstm_head.bias_hh" + name, start, 4 * size));
    }
}
