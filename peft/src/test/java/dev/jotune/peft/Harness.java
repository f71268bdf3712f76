package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.methods.HeldConstants;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.LongFunction;

/**
 * A method with settings, a tiny model and a machine, and what tests of a method do with them again and again.
 *
 * @param wide F64 on the reference backend; else F32 on the CPU
 */
record Harness(MethodInfo info, ContractCases.Case settings, TinyModels.Kind kind, boolean wide) {
    /** A tokenizer: one token a character. */
    static final Optional<Function<String, int[]>> LETTERS = Optional.of(t -> t.chars().map(c -> c % 16).toArray());
    private static final int TIME = 5;

    Backend backend() {
        return wide ? Backends.reference() : Backends.cpu();
    }

    DType type() {
        return wide ? DType.F64 : DType.F32;
    }

    /** What counts as equal where the same is computed in another order. */
    double epsilon() {
        return wide ? 1e-10 : 1e-5;
    }

    CausalLm model() {
        return kind.make(backend(), type());
    }

    TuningMethod method() {
        return settings.of(info);
    }

    /** A new adapter as it starts. */
    Adapter create(CausalLm model, String name) {
        return Adapters.create(model, name, method(), name.hashCode(), LETTERS);
    }

    /** A new adapter moved away from its start, so that nothing in it is zero. */
    Adapter moved(CausalLm model, String name) {
        return move(create(model, name), name.hashCode());
    }

    static Adapter move(Adapter a, long seed) {
        long stream = 0;
        for (Var v : a.trainables().values()) {
            double[] values = v.tensor().toDoubleArray();
            for (int i = 0; i < values.length; i++) {
                values[i] += 0.3 * Philox.normal(seed, stream, i);
            }
            stream++;
            v.tensor().copyFrom(Tensor.of(v.backend(), v.dtype(), values, v.shape()));
        }
        return a;
    }

    /** {@code rows} rows of random tokens; every second one ends in padding. */
    DecoderInput input(int rows) {
        boolean[] mask = new boolean[rows * TIME];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = i / TIME % 2 == 0 || i % TIME < TIME - 1;
        }
        return DecoderInput.of(ids(rows), Tensor.of(backend(), mask, rows, TIME));
    }

    /** One row of {@link #input}. */
    DecoderInput row(DecoderInput in, int row) {
        return DecoderInput.of(in.ids().get().slice(0, row, row + 1).contiguous(),
                in.mask().get().slice(0, row, row + 1).contiguous());
    }

    private Tensor ids(int rows) {
        long[] ids = new long[rows * TIME];
        Arrays.setAll(ids, i -> Philox.nextInt(11, 0, i, kind.config().vocabSize()));
        return Tensor.of(backend(), ids, rows, TIME);
    }

    /** Labels for {@link #input}: its own tokens behind the first two, which are given; nothing at padding. */
    Tensor labels(DecoderInput in) {
        long[] ids = in.ids().get().toLongArray();
        double[] mask = in.mask().get().toDoubleArray();
        Arrays.setAll(ids, i -> mask[i] == 0 || i % TIME < 2 ? -100 : ids[i]);
        return Tensor.of(backend(), ids, in.batch(), in.time());
    }

    static double[] logits(CausalLm model, DecoderInput in, Pass pass) {
        return Recording.off(() -> model.logits(model.forward(in, pass, Optional.empty()).text(), pass).tensor().toDoubleArray());
    }

    static double[] logits(CausalLm model, DecoderInput in) {
        return logits(model, in, model.seams().inference());
    }

    /** The loss on two rows. With noise, the noise of one fixed step. */
    double loss(CausalLm model) {
        return Recording.off(() -> lossOf(model, 0)).item();
    }

    Var lossOf(CausalLm model, long step) {
        DecoderInput in = input(2);
        return model.loss(in, labels(in), model.seams().training(3, step));
    }

    /** Puts in the adapter's place one whose gradient is the derivative: what counts as constant there is constant. */
    static void holdConstants(Backbone model, Adapter adapter) {
        if (adapter.source().isPresent()) {
            // Written anew for every pass, with nothing that counts as constant.
            return;
        }
        Hooks h = adapter.hooks();
        Group group = Group.all(List.of(h));
        Map<String, Projection> held = new LinkedHashMap<>();
        h.projections().forEach((path, p) -> held.put(path, HeldConstants.of(p, model.seams().projected(path), group)));
        model.seams().detach(h.name());
        model.seams().attach(new Hooks(h.name(), held, h.overrides(), h.segments(), h.virtualTokens(), h.taps()));
    }

    static List<Tensor> gradients(Var loss, Adapter adapter) {
        return Gradients.of(loss, List.copyOf(adapter.trainables().values()));
    }

    /** Trains by the losses of some steps and returns them. */
    static List<Double> train(Adapter adapter, int steps, double rate, LongFunction<Var> lossOfStep) {
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(rate));
        List<Double> losses = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            Var loss = lossOfStep.apply(i);
            losses.add(loss.item());
            optimizer.step(adapter.trainables(), gradients(loss, adapter));
        }
        return losses;
    }

    /** The bytes of every weight of the model. */
    static Map<String, Integer> bytes(CausalLm model) {
        Map<String, Integer> out = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) ->
                out.put(path, Arrays.hashCode(p.base().tensor().storage().host().toArray(ValueLayout.JAVA_BYTE))));
        return out;
    }

    void assertClose(String what, double[] got, double[] want) {
        assertThat(got).as(what).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(Math.abs(got[i] - want[i])).as("%s[%d] = %s, want %s", what, i, got[i], want[i])
                    .isLessThanOrEqualTo(epsilon() * Math.max(1, Math.abs(want[i])));
        }
    }

    @Override
    public String toString() {
        return info.name() + " " + settings.name() + " on " + kind + (wide ? " F64" : " F32");
    }
}
