package dev.jotune.jmh.gpu;

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
import java.util.function.IntConsumer;

/**
 * One query a row over a prefix that all rows share and keys of their own: a step of decoding. With {@code again} the same is
 * measured where each row has the prefix for itself, as decoding without sharing reads it.
 */
final class DecodeAttention implements Work {
    private final Setting setting;
    private final AttentionKernel kernel;
    private final DType type;
    private final boolean again;
    private final long batch;
    private final long heads;
    private final long groups;
    private final long size;
    private final long prefix;
    private final long own;
    private final Problem[] problems;
    private final Optional<Problem> unshared;
    private final Tensor out;
    private final Tensor lse;

    DecodeAttention(Setting setting, boolean again, long batch, long heads, long groups, long size, long prefix, long own) {
        this.setting = setting;
        this.again = again;
        this.batch = batch;
        this.heads = heads;
        this.groups = groups;
        this.size = size;
        this.prefix = prefix;
        this.own = own;
        kernel = setting.backend().kernel(AttentionKernel.class).orElseThrow(() -> new UnsupportedOperationException(
                "this backend has no attention kernel"));
        type = kernel.supports(make(DType.BF16, 0)) ? DType.BF16 : DType.F32;
        problems = new Problem[setting.sets(2 * (batch * own + prefix) * groups * size * type.byteSize())];
        for (int i = 0; i < problems.length; i++) {
            problems[i] = make(type, i);
        }
        out = setting.poisoned(type, batch, heads, 1, size);
        lse = setting.poisoned(DType.F32, batch, heads, 1);
        // 32768 keys for each of 256 rows are more than the card has.
        unshared = again && batch * (prefix + own) * groups * size * 2 * type.byteSize() < 24L << 30 ? Optional.of(unshared()) : Optional.empty();
    }

    private Problem make(DType type, int set) {
        long stream = 8L * set;
        Segment shared = new Segment(setting.noise(type, 1, stream, 1, groups, prefix, size),
                setting.noise(type, 1, stream + 1, 1, groups, prefix, size), Mask.NONE);
        Segment rest = new Segment(setting.noise(type, 1, stream + 2, batch, groups, own, size),
                setting.noise(type, 1, stream + 3, batch, groups, own, size), Mask.NONE);
        return new Problem(setting.noise(type, 1, stream + 4, batch, heads, 1, size), List.of(shared, rest), 1 / Math.sqrt(size), 0);
    }

    private Problem unshared() {
        Segment s = problems[0].segments().get(1);
        Tensor key = Tensor.empty(setting.backend(), type, batch, groups, prefix + own, size);
        Tensor value = Tensor.empty(setting.backend(), type, batch, groups, prefix + own, size);
        Segment p = problems[0].segments().getFirst();
        key.slice(2, 0, prefix).copyFrom(p.key().expand(batch, groups, prefix, size));
        value.slice(2, 0, prefix).copyFrom(p.value().expand(batch, groups, prefix, size));
        key.slice(2, prefix, prefix + own).copyFrom(s.key());
        value.slice(2, prefix, prefix + own).copyFrom(s.value());
        return new Problem(problems[0].query(), List.of(new Segment(key, value, Mask.NONE)), problems[0].scale(), 0);
    }

    @Override
    public void run(int set) {
        kernel.forward(problems[set], out, lse);
    }

    @Override
    public int sets() {
        return problems.length;
    }

    @Override
    public Optional<IntConsumer> baseline() {
        return unshared.map(p -> set -> kernel.forward(p, out, lse));
    }

    /** The heads of the last group, of all rows. */
    @Override
    public Check check() {
        setting.poison(out);
        run(0);
        if (Setting.hasNaN(out)) {
            return new Check(Double.NaN, 0);
        }
        long share = heads / groups;
        List<Segment> segments = problems[0].segments().stream().map(s -> new Segment(Setting.here(s.key().slice(1, groups - 1, groups)),
                Setting.here(s.value().slice(1, groups - 1, groups)), s.mask())).toList();
        Problem p = new Problem(Setting.here(problems[0].query().slice(1, heads - share, heads)), segments, problems[0].scale(), 0);
        Tensor right = Tensor.empty(Backends.cpu(), DType.F32, batch, share, 1, size);
        Tensor sums = Tensor.empty(Backends.cpu(), DType.F32, batch, share, 1);
        Backends.cpu().kernel(AttentionKernel.class).orElseThrow().forward(p, right, sums);
        double error = Math.max(Setting.error(out.slice(1, heads - share, heads), right), Setting.error(lse.slice(1, heads - share, heads), sums));
        return new Check(error, type == DType.F32 ? 1e-4 : Setting.tolerance(type));
    }

    private double bytes() {
        return 2.0 * (batch * own + prefix) * groups * size * type.byteSize();
    }

    /** How many times faster than the faster way of reading the prefix for each row; or bytes a second. */
    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        if (!again) {
            return bytes() / micros / 1e6;
        }
        double best = Math.min(baseline.orElse(Double.POSITIVE_INFINITY), vendorBaseline.orElse(Double.POSITIVE_INFINITY));
        return Double.isFinite(best) ? best / micros : Double.NaN;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", type.toString());
        facts.put("bytes", bytes());
        facts.put("bytes_unshared", 2.0 * batch * (own + prefix) * groups * size * type.byteSize());
        facts.put("sets", problems.length);
        return facts;
    }
}
