package dev.jotune.peft.weights;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Targets;
import dev.jotune.peft.weights.BitDelta.Signs;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.SignMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** What makes a {@link BitDelta} of two models: signs and scales of their difference, {@code rounds} bits a number. */
record SignCompression(Backbone base, Backbone tuned, int rounds) {
    SignCompression {
        if (rounds < 1) {
            throw new AdapterException("rounds is " + rounds + "; each is a bit, and there must be one.");
        }
        Map<String, Parameter> theirs = tuned.seams().parameters();
        base.seams().parameters().forEach((path, p) -> {
            if (!theirs.containsKey(path) || !Arrays.equals(p.shape(), theirs.get(path).shape())) {
                throw new AdapterException("the tuned model has no weight " + path + " of shape " + Arrays.toString(p.shape())
                        + ". Compress a fine-tuning of this very model.");
            }
        });
    }

    BitDelta of(Targets targets) {
        Map<String, Parameter> theirs = tuned.seams().parameters();
        SequencedMap<String, Signs> deltas = new LinkedHashMap<>();
        SequencedMap<String, Tensor> kept = new LinkedHashMap<>();
        List<Parameter> done = new ArrayList<>();
        for (LinearLayer layer : base.seams().projections().values()) {
            // A weight that is shared, as a tied head's is, changes at its owner.
            if (matches(targets, layer) && layer.weight().path().equals(layer.path() + ".weight")) {
                deltas.put(layer.path(), signs(difference(layer, theirs.get(layer.weight().path())), layer));
                done.add(layer.weight());
            }
        }
        if (deltas.isEmpty()) {
            throw new AdapterException("the targets " + targets + " match no linear layer of the model. Name modules, or take all-linear.");
        }
        base.seams().parameters().forEach((path, p) -> {
            if (!done.contains(p)) {
                Tensor t = theirs.get(path).base().tensor();
                if (!Arrays.equals(t.toDoubleArray(), p.base().tensor().toDoubleArray())) {
                    kept.put(path, Scope.detach(Tensor.empty(base.backend(), t.dtype(), t.shape())).copyFrom(t));
                }
            }
        });
        return new BitDelta(deltas, kept);
    }

    private static boolean matches(Targets targets, LinearLayer layer) {
        return targets.isAllLinear() ? !layer.path().endsWith("lm_head") : targets.matches(layer.path());
    }

    /** D in the order of the equations, {@code [out, in]}. */
    private static Values difference(LinearLayer layer, Parameter tuned) {
        return Values.of(layer.oriented(tuned.base()).tensor()).minus(Values.of(layer.oriented(layer.weight().base()).tensor()));
    }

    /** {@code alpha = mean|D|} and {@code S = sgn(D)}, and again of {@code D - alpha S}. */
    private Signs signs(Values d, LinearLayer layer) {
        List<SignMatrix> signs = new ArrayList<>();
        double[] scales = new double[rounds];
        Values left = d;
        for (int r = 0; r < rounds; r++) {
            double[] sum = {0};
            left.forEachRun((from, n, run) -> sum[0] += Arrays.stream(run, 0, n).map(Math::abs).sum());
            double alpha = sum[0] / left.size();
            scales[r] = alpha;
            signs.add(packed(left, layer.out(), layer.in()));
            left = left.map(x -> x - (x >= 0 ? alpha : -alpha));
        }
        return new Signs(signs, Var.parameter(Scope.detach(Tensor.of(base.backend(), base.computeType(), scales, rounds))));
    }

    private SignMatrix packed(Values d, long rows, long columns) {
        Tensor bits = Scope.detach(Tensor.empty(base.backend(), DType.U8, rows, SignMatrix.rowBytes(columns)));
        // Made on the host: the backend's own memory may be out of its reach.
        Storage staging = HostMemory.allocate(bits.numel());
        MemorySegment memory = staging.host().fill((byte) 0);
        d.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                if (run[i] >= 0) {
                    long column = (from + i) % columns;
                    long at = (from + i) / columns * SignMatrix.rowBytes(columns) + column / Byte.SIZE;
                    memory.set(ValueLayout.JAVA_BYTE, at, (byte) (memory.get(ValueLayout.JAVA_BYTE, at) | 1 << column % Byte.SIZE));
                }
            }
        });
        base.backend().write(bits, memory);
        staging.free();
        return new SignMatrix(rows, columns, bits);
    }
}
