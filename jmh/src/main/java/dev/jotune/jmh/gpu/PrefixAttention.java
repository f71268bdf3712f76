package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.AttentionKernel.Problem;
import dev.jotune.tensor.kernels.AttentionKernel.Segment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** Attention over a prefix that the batch shares and a causal text, as a layer of a tuned model does it, one pass. */
final class PrefixAttention implements Work {
    private static final Mask CAUSAL = new Mask(true, 0, 0, Optional.empty(), Optional.empty());

    private final Setting setting;
    private final boolean backward;
    private final AttentionKernel kernel;
    private final long batch;
    private final long heads;
    private final long time;
    private final long prefix;
    private final long size;
    private final DType type;
    private final Inputs[] inputs;

    /** One set: what goes in, what comes out, and the gradients of both. */
    private record Inputs(Problem problem, Tensor out, Tensor lse, Tensor up, Tensor dQuery, List<Tensor> dKeys, List<Tensor> dValues) {
        void forward(AttentionKernel kernel) {
            kernel.forward(problem, out, lse);
        }

        void backward(AttentionKernel kernel) {
            kernel.backward(problem, out, lse, up, Optional.empty(), Optional.of(dQuery), dKeys.stream().map(Optional::of).toList(),
                    dValues.stream().map(Optional::of).toList());
        }
    }

    PrefixAttention(Setting setting, boolean backward, long batch, long heads, long time, long prefix, long size) {
        this.setting = setting;
        this.backward = backward;
        this.batch = batch;
        this.heads = heads;
        this.time = time;
        this.prefix = prefix;
        this.size = size;
        this.kernel = setting.backend().kernel(AttentionKernel.class).orElseThrow(() -> new UnsupportedOperationException(
                "this backend has no attention kernel"));
        this.type = kernel.supports(make(DType.BF16, 0).problem) ? DType.BF16 : DType.F32;
        inputs = new Inputs[setting.sets(3 * batch * heads * time * size * type.byteSize())];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = make(type, i);
            if (backward) {
                inputs[i].forward(kernel);
            }
        }
    }

    private Inputs make(DType type, int set) {
        long stream = 16L * set;
        // Keys and values as wide as a trained prefix's: it is the softmax's sharpness that rounding shows in.
        Segment shared = new Segment(setting.noise(type, 1, stream, 1, heads, prefix, size),
                setting.noise(type, 1, stream + 1, 1, heads, prefix, size), Mask.NONE);
        Segment text = new Segment(rows(type, stream + 2), rows(type, stream + 3), CAUSAL);
        return inputs(setting.backend(), type, new Problem(rows(type, stream + 4), List.of(shared, text), 1 / Math.sqrt(size), 0),
                rows(type, stream + 5));
    }

    private static Inputs inputs(Backend b, DType type, Problem p, Tensor up) {
        List<Tensor> dKeys = p.segments().stream().map(s -> like(b, type, s.key())).toList();
        List<Tensor> dValues = p.segments().stream().map(s -> like(b, type, s.value())).toList();
        Tensor q = p.query();
        return new Inputs(p, like(b, type, q), Tensor.full(b, DType.F32, Double.NaN, q.size(0), q.size(1), q.size(2)), up, like(b, type, q), dKeys,
                dValues);
    }

    /** As a projection leaves them, {@code [B, T, heads, D]}; a head is a view. */
    private Tensor rows(DType type, long stream) {
        return setting.noise(type, 1, stream, batch, time, heads, size).transpose(1, 2);
    }

    private static Tensor like(Backend b, DType type, Tensor t) {
        return Tensor.full(b, type, Double.NaN, t.size(0), t.size(2), t.size(1), t.size(3)).transpose(1, 2);
    }

    @Override
    public void run(int set) {
        if (backward) {
            inputs[set].backward(kernel);
        } else {
            inputs[set].forward(kernel);
        }
    }

    @Override
    public int sets() {
        return inputs.length;
    }

    /** The last head of all rows of the batch, forward and backward, beside the CPU's kernel in F32: its prefix gradient is summed over the batch. */
    @Override
    public Check check() {
        Inputs in = inputs[0];
        setting.poison(in.out);
        in.forward(kernel);
        Inputs twin = lastHead(in);
        AttentionKernel cpu = Backends.cpu().kernel(AttentionKernel.class).orElseThrow();
        twin.forward(cpu);
        double error = Math.max(error(in.out, twin.out), Setting.error(head(in.lse), twin.lse));
        if (Setting.hasNaN(in.out)) {
            return new Check(Double.NaN, 0);
        }
        if (backward) {
            setting.poison(in.dQuery);
            in.dKeys.forEach(setting::poison);
            in.dValues.forEach(setting::poison);
            in.backward(kernel);
            twin.backward(cpu);
            error = Math.max(error, error(in.dQuery, twin.dQuery));
            for (int i = 0; i < twin.dKeys.size(); i++) {
                error = Math.max(error, Math.max(error(in.dKeys.get(i), twin.dKeys.get(i)), error(in.dValues.get(i), twin.dValues.get(i))));
            }
        }
        // Gradients read probabilities and outputs that were rounded before: twice the error.
        return new Check(error, (type == DType.F32 ? 1e-4 : Setting.tolerance(type)) * (backward ? 2 : 1));
    }

    private Tensor head(Tensor t) {
        return t.slice(1, heads - 1, heads);
    }

    private double error(Tensor out, Tensor reference) {
        return Setting.error(head(out), reference);
    }

    private Inputs lastHead(Inputs in) {
        List<Segment> segments = in.problem.segments().stream()
                .map(s -> new Segment(Setting.here(head(s.key())), Setting.here(head(s.value())), s.mask())).toList();
        Problem p = new Problem(Setting.here(head(in.problem.query())), segments, in.problem.scale(), 0);
        return inputs(Backends.cpu(), DType.F32, p, Setting.here(head(in.up)));
    }

    /** Of both products of what is seen, and five of them backward. */
    private double flops() {
        double forward = 4.0 * batch * heads * size * (time * prefix + time * time / 2.0);
        return backward ? 2.5 * forward : forward;
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return flops() / micros / 1e6;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", type.toString());
        facts.put("flops", flops());
        facts.put("sets", inputs.length);
        return facts;
    }
}
