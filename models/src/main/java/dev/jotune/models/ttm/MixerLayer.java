package dev.jotune.models.ttm;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.Optional;

/**
 * One TSMixer layer (Ekambaram et al., arXiv 2306.09364): {@code h += mix(norm(h))} over the patches, then over the
 * features, where {@code mix(x) = m softmax(A m + a)} with {@code m = W2 gelu(W1 x + b1) + b2}. Channels do not mix.
 *
 * <p>Taps of layer 3 of the encoder: {@code encoder.layers.3.patch.act} {@code [B, channels, C, F]} and
 * {@code encoder.layers.3.feature.act} {@code [B, channels, P, F]} inside the MLPs, {@code encoder.layers.3.patch.out} and
 * {@code encoder.layers.3.feature.out} before they are added, {@code encoder.layers.3}.
 *
 * @param patches absent where there is one patch, which has nothing to mix with and no weights for it
 * @param factor how many patches one patch is cut into at this level, each with as many fewer features
 */
record MixerLayer(Optional<Mixer> patches, Mixer features, int factor, String tap) {
    /** What is mixed along the last axis. */
    record Mixer(Parameter norm, Parameter normBias, double eps, LinearLayer up, LinearLayer down, Optional<LinearLayer> gate, String tap) {
        static Mixer of(String path, int width, int normWidth, TtmConfig c, Weights w, String tap, Seams seams) {
            long middle = (long) width * c.expansionFactor();
            seams.addTap(tap + ".act", middle);
            seams.addTap(tap + ".out", normWidth);
            return new Mixer(w.parameter(path + ".norm.norm.weight", normWidth), w.parameter(path + ".norm.norm.bias", normWidth),
                    c.normEps(), w.linear(path + ".mlp.fc1", middle, width, true), w.linear(path + ".mlp.fc2", width, middle, true),
                    c.gatedAttn() ? Optional.of(w.linear(path + ".gating_block.attn_layer", width, width, true)) : Optional.empty(), tap);
        }

        /** What is added to {@code h [B, channels, P, C]}. */
        Var apply(Var h, boolean overPatches, Pass pass) {
            Var read = pass.perGroup(h, (rows, g) -> Norms.layerNorm(rows, norm.value(g), normBias.value(g), eps));
            Var x = overPatches ? read.transpose(2, 3) : read;
            Var mixed = down.forward(pass.tap(tap + ".act", Activations.gelu(up.forward(x, pass))), pass);
            Var gated = gate.isEmpty() ? mixed : mixed.mul(Softmax.softmax(gate.get().forward(mixed, pass)));
            return pass.tap(tap + ".out", overPatches ? gated.transpose(2, 3) : gated, read);
        }
    }

    static MixerLayer of(String path, int patches, int width, int factor, TtmConfig c, Weights w, String tap, Seams seams) {
        Optional<Mixer> over = patches > 1 ? Optional.of(Mixer.of(path + ".patch_mixer", patches, width, c, w, tap + ".patch", seams))
                : Optional.empty();
        MixerLayer out = new MixerLayer(over, Mixer.of(path + ".feature_mixer", width, width, c, w, tap + ".feature", seams), factor, tap);
        seams.addTap(tap, (long) width * factor);
        return out;
    }

    /** {@code h [B, channels, P, C] -> [B, channels, P, C]}. */
    Var forward(Var h, Pass pass) {
        Var x = h.reshape(h.size(0), h.size(1), h.size(2) * factor, h.size(3) / factor);
        x = patches.isPresent() ? x.add(patches.get().apply(x, true, pass)) : x;
        x = x.add(features.apply(x, false, pass));
        return pass.tap(tap, x.reshape(h.shape()));
    }
}
