package dev.jotune.models.mamba;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Convolution;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.autograd.ops.SelectiveScan;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * One block: {@code h += out_proj(silu(z) scan(silu(conv(x))))} with {@code (x, z) = in_proj(norm(h))}, and step sizes
 * and input and output maps of the scan made from x: {@code (dt, B, C) = x_proj(x)}, {@code dt = softplus(dt_proj(dt))}.
 *
 * <p>Taps of layer 3: {@code layers.3.ssm.in} {@code [B, T, E]}, what the scan reads; {@code layers.3.ssm.state}
 * {@code [B, E, N]}, the state it starts from, zero unless a tap says otherwise (asked for where a text begins, not when
 * it goes on from a cache); {@code layers.3.ssm.offset} {@code [B, E, N]}, added to every state as it is read, zero
 * likewise (state-offset tuning, arXiv 2503.03499: {@code y += C S}); {@code layers.3.ssm.out} {@code [B, T, E]}, what the
 * scan gives; {@code layers.3.ssm.gated}, the same behind its gate; {@code layers.3.mixer.out}; {@code layers.3}.
 */
final class MambaBlock {
    private final MambaConfig config;
    private final int layer;
    private final Parameter norm;
    private final Parameter aLog;
    private final Parameter skip;
    private final Parameter convWeight;
    private final Optional<Parameter> convBias;
    private final LinearLayer inProj;
    private final LinearLayer xProj;
    private final LinearLayer dtProj;
    private final LinearLayer outProj;
    private final String tap;

    MambaBlock(MambaConfig c, int layer, Weights w, Seams seams) {
        this.config = c;
        this.layer = layer;
        String path = "backbone.layers." + layer;
        String mixer = path + ".mixer";
        long inner = c.intermediateSize();
        norm = w.parameter(path + ".norm.weight", c.hiddenSize());
        aLog = w.parameter(mixer + ".A_log", inner, c.stateSize());
        skip = w.parameter(mixer + ".D", inner);
        convWeight = w.parameter(mixer + ".conv1d.weight", inner, 1, c.convKernel());
        convBias = c.useConvBias() ? Optional.of(w.parameter(mixer + ".conv1d.bias", inner)) : Optional.empty();
        inProj = w.linear(mixer + ".in_proj", 2 * inner, c.hiddenSize(), c.useBias());
        xProj = w.linear(mixer + ".x_proj", c.timeStepRank() + 2L * c.stateSize(), inner, false);
        dtProj = w.linear(mixer + ".dt_proj", inner, c.timeStepRank(), true);
        outProj = w.linear(mixer + ".out_proj", c.hiddenSize(), inner, c.useBias());
        tap = "layers." + layer;
        seams.addTap(tap + ".ssm.in", inner);
        seams.addRowTap(tap + ".ssm.state", inner, c.stateSize());
        seams.addRowTap(tap + ".ssm.offset", inner, c.stateSize());
        seams.addTap(tap + ".ssm.out", inner);
        seams.addTap(tap + ".ssm.gated", outProj, inner);
        seams.addTap(tap + ".mixer.out", c.hiddenSize());
        seams.addTap(tap, c.hiddenSize());
    }

    /**
     * {@code h [B, T, C]} to the next {@code [B, T, C]}, and what a cache has to keep: the last inputs of the convolution
     * {@code [B, K - 1, E]} and the last state {@code [B, E, N]}.
     */
    Var[] forward(Var h, MambaPadding padding, Pass pass, Optional<MambaCache> past) {
        Var x = pass.perGroup(h, (rows, g) -> Norms.rmsNorm(rows, norm.value(g), config.layerNormEpsilon()));
        Var read = padding.silence(x);
        Var[] mixed = mixer(read, padding, pass, past);
        mixed[0] = pass.tap(tap, h.add(pass.tap(tap + ".mixer.out", mixed[0], read)));
        return mixed;
    }

    private Var[] mixer(Var h, MambaPadding padding, Pass pass, Optional<MambaCache> past) {
        long inner = config.intermediateSize();
        long time = h.size(1);
        Var both = inProj.forward(h, pass);
        Var before = past.map(c -> Var.constant(c.convolution(layer))).orElseGet(() -> zeros(h, config.convKernel() - 1, inner));
        Var read = padding.inOrder(Var.concat(1, before, both.slice(2, 0, inner)));
        Var convolved = padding.inPlace(pass.perGroup(read, this::convolution));
        Var x = pass.tap(tap + ".ssm.in", padding.silence(Activations.byName(config.hiddenAct(), convolved)));
        Var[] scanned = scan(x, padding, pass, past);
        // The gate is SiLU whatever hidden_act says, which transformers applies to the convolution alone.
        Var gated = Activations.swiglu(both.slice(2, inner, 2 * inner), pass.tap(tap + ".ssm.out", scanned[0], x));
        Var out = outProj.forward(pass.tap(tap + ".ssm.gated", gated), pass);
        return new Var[] {out, read.slice(1, time, read.size(1)), scanned[1]};
    }

    private Var convolution(Var rows, Group g) {
        return Convolution.depthwise(rows, convWeight.value(g), convBias.map(b -> b.value(g)));
    }

    /** {@code x [B, T, E]} to the scan's output {@code [B, T, E]} and last state {@code [B, E, N]}. */
    private Var[] scan(Var x, MambaPadding padding, Pass pass, Optional<MambaCache> past) {
        int rank = config.timeStepRank();
        int states = config.stateSize();
        Var made = xProj.forward(x, pass);
        Var dt = padding.silence(Activations.softplus(dtProj.forward(made.slice(2, 0, rank), pass)));
        Var b = made.slice(2, rank, rank + states);
        Var c = made.slice(2, rank + states, rank + 2L * states);
        boolean goesOn = past.isPresent() && past.get().length() > 0;
        Var state = goesOn ? Var.constant(past.get().state(layer))
                : pass.tap(tap + ".ssm.state", zeros(x, config.intermediateSize(), states));
        Var[] out = pass.perGroup(new Var[] {x, dt, b, c, state}, (v, g) -> {
            SelectiveScan.Result r =
                    SelectiveScan.apply(v[0], v[1], aLog.value(g).exp().neg(), v[2], v[3], skip.value(g), v[4]);
            return new Var[] {r.out(), r.state()};
        });
        if (pass.isTapped(tap + ".ssm.offset")) {
            Var offset = pass.tap(tap + ".ssm.offset", zeros(x, config.intermediateSize(), states));
            out[0] = out[0].add(c.matmul(offset.transpose(1, 2)));
        }
        return out;
    }

    private static Var zeros(Var like, long rows, long columns) {
        return Var.constant(Tensor.zeros(like.backend(), like.dtype(), like.size(0), rows, columns));
    }
}
