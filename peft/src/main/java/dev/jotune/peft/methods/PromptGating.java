package dev.jotune.peft.methods;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Prompt Gating (Huang et al., arXiv 2212.09387): plug-ins for several aspects of a text, each trained alone, that work together.
 *
 * <p>The input becomes {@code [P; E(x)]}. Between the attention and the feed-forward part of block l the states of these n tokens,
 * and no others, become {@code sigmoid(g_l) * h + a_l}: whatever they have read of other plug-ins passes a gate before it is read
 * again. {@code P [n, C]} is made of a table {@code [n, m]} by a layer of m, ReLU, and a layer of C; the {@code g_l [n, C]} of all
 * blocks of a table of their own by a layer of m, tanh, and a layer of C for each block; the {@code a_l} likewise.
 * Trainable: {@code 3 (n m + m^2 + m) + (2 L + 1) (m + 1) C}.
 *
 * <p>Plug-ins attached one after the other stand one before the other, the first one first. A saved adapter holds what the networks
 * gave, {@code (2 L + 1) n C} numbers, g as it is before the sigmoid; what is loaded is trained on directly. It is for
 * encoder-decoders, whose source the tokens precede. The paper's segment embedding of keywords that are given as further source text
 * is not part of this.
 *
 * @param numVirtualTokens n
 * @param encoderHiddenSize m
 */
public record PromptGating(int numVirtualTokens, int encoderHiddenSize, List<String> modulesToSave) implements TuningMethod {
    private static final String PROMPTS = "prompts";

    public static final PromptGating DEFAULTS = new PromptGating(100, 512, List.of());

    /** With n tokens, made by layers of m. */
    public PromptGating sized(int n, int m) {
        return new PromptGating(n, m, modulesToSave);
    }

    @Override
    public PromptGating withModulesToSave(List<String> modules) {
        return new PromptGating(numVirtualTokens, encoderHiddenSize, modules);
    }

    @Override
    public String peftType() {
        return "PROMPT_GATING";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("encoder_hidden_size", encoderHiddenSize);
        Prompts prompts = Prompts.of(a, "prompt gating", numVirtualTokens);
        String tower = prompts.site().name().replaceFirst("embed$", "");
        List<TapSite> places = a.taps(Pattern.compile(Pattern.quote(tower) + "layers\\.\\d+\\.mid"));
        // In a single stack nobody reads what the last block makes of virtual tokens: its gate would never learn.
        if (!(a.model() instanceof Seq2SeqLm)) {
            throw new AdapterException("prompt gating needs a decoder that reads an encoder's states, and a " + a.model().modelType()
                    + " model has none. Use prompt tuning.");
        }
        boolean made = prompts.isEncoded(Network.key(PROMPTS));
        Supplier<Var> p = rows(a, network(a, made, PROMPTS, Activations::relu), Prompts.TABLE, prompts.site().hiddenSize());
        prompts.stand(_ -> p.get());
        Optional<Network> gates = network(a, made, "gates", Activations::tanh);
        Optional<Network> shifts = network(a, made, "shifts", Activations::tanh);
        for (TapSite t : places) {
            a.tap(t.name(), new Gate(prompts.site().name(), rows(a, gates, t.name() + ".gate", t.width()),
                    rows(a, shifts, t.name() + ".shift", t.width())));
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private Optional<Network> network(Attachment a, boolean made, String name, UnaryOperator<Var> bend) {
        if (!made) {
            return Optional.empty();
        }
        long m = encoderHiddenSize;
        return Optional.of(new Network(a.internal(Network.key(name), Init.normal(1), numVirtualTokens, m),
                a.internal(name + ".hidden.weight", Init.KAIMING, m, m), a.internal(name + ".hidden.bias", Init.uniform(1 / Math.sqrt(m)), m), bend));
    }

    /** {@code [n, width]}: the last layer of a network, whose output the file holds under {@code key}, or what a file held there. */
    private Supplier<Var> rows(Attachment a, Optional<Network> network, String key, long width) {
        if (network.isEmpty()) {
            Var v = a.trainable(key, Init.ZEROS, numVirtualTokens, width);
            return () -> v;
        }
        Var weight = a.internal(key + ".weight", Init.KAIMING, width, encoderHiddenSize);
        Var bias = a.internal(key + ".bias", Init.uniform(1 / Math.sqrt(encoderHiddenSize)), width);
        Supplier<Var> out = () -> Linear.apply(network.get().inner(), weight, bias);
        a.export(key, () -> Recording.off(out).tensor());
        return out;
    }

    /** A table {@code [n, m]} and the hidden layer behind it. */
    private record Network(Var table, Var weight, Var bias, UnaryOperator<Var> bend) {
        static String key(String name) {
            return name + ".embedding.weight";
        }

        Var inner() {
            return bend.apply(Linear.apply(table, weight, bias));
        }
    }

    /** What one block does to the tokens: {@code sigmoid(gate) * h + added}. */
    private record Gate(String site, Supplier<Var> gate, Supplier<Var> added) implements Tap {
        @Override
        public Var apply(String name, Var h, At at) {
            Optional<Run> own = at.ownTokens(site);
            if (own.isEmpty()) {
                return h;
            }
            long from = own.get().from();
            long to = own.get().to();
            Var gated = h.slice(1, from, to).mul(Activations.sigmoid(gate.get())).add(added.get());
            return Var.concat(1, Stream.of(h.slice(1, 0, from), gated, h.slice(1, to, h.size(1))).filter(v -> v.size(1) > 0).toArray(Var[]::new));
        }
    }
}
