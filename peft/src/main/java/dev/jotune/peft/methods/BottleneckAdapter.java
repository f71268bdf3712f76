package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Bottleneck adapters: Parameter-Efficient Transfer Learning for NLP (Houlsby et al., arXiv 1902.00751).
 *
 * <p>{@code h <- h + s f(x)}, {@code f(x) = W_up a(W_down x + b_down) + b_up}, m features between. W_up and b_up start at 0. What x and
 * h are, the placement says:
 * <ul>
 * <li>{@code houlsby}: after every part of a block, before its output joins the stream: {@code x = h} at {@code attn.out},
 * {@code cross.out}, {@code mlp.out};
 * <li>{@code pfeiffer} (2005.00247): once a block, on the stream behind feed-forward, residual and, in post-norm models, norm:
 * {@code x = h} at {@code layers.N};
 * <li>{@code parallel} (He et al., 2110.04366): h is the feed-forward's output, x what it read; the paper takes s = 4.
 * </ul>
 * Mamba's blocks have one part, its mixer, in the place of both. Trainable: {@code 2 C m + m + C} at each place.
 *
 * <p>The adapters library of AdapterHub writes the same matrices as {@code pytorch_adapter.bin}, pickled, with other keys and an
 * {@code adapter_config.json} of another kind; such files are not read. Its {@code seq_bn} adds {@code f(norm(x + h))} before
 * that norm in post-norm models, where here, as in He et al., the adapter stands behind it.
 *
 * @param placement {@code houlsby}, {@code pfeiffer} or {@code parallel}
 * @param reductionFactor C / m, as the adapters library names it; m is at least 1
 * @param nonLinearity a, by the name that models have for it: {@code relu}, {@code gelu}, {@code silu}
 * @param scaling s
 * @param modulesToSave modules trained whole
 */
public record BottleneckAdapter(String placement, int reductionFactor, String nonLinearity, double scaling, List<String> modulesToSave)
        implements TuningMethod {
    public static final BottleneckAdapter DEFAULTS = new BottleneckAdapter("houlsby", 16, "relu", 1, List.of());

    public BottleneckAdapter at(String place) {
        return new BottleneckAdapter(place, reductionFactor, nonLinearity, scaling, modulesToSave);
    }

    public BottleneckAdapter reducedBy(int factor) {
        return new BottleneckAdapter(placement, factor, nonLinearity, scaling, modulesToSave);
    }

    @Override
    public BottleneckAdapter withModulesToSave(List<String> modules) {
        return new BottleneckAdapter(placement, reductionFactor, nonLinearity, scaling, modules);
    }

    @Override
    public String peftType() {
        return "BOTTLENECK_ADAPTER";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("reduction_factor", reductionFactor);
        if (!Double.isFinite(scaling) || scaling == 0) {
            throw new AdapterException("scaling is " + scaling + "; it must be a finite number other than 0.");
        }
        if (!Activations.names().contains(nonLinearity)) {
            throw new AdapterException("non_linearity is '" + nonLinearity + "'; it must be one of " + Activations.names() + ".");
        }
        List<TapSite> places = a.taps(places());
        if (places.isEmpty()) {
            throw new AdapterException("placement " + placement + " has no place in a " + a.model().modelType()
                    + " model. Use another placement, or a method for linear layers.");
        }
        for (TapSite t : places) {
            long c = t.width();
            long m = Math.max(1, c / reductionFactor);
            a.tap(t.name(), new Bottleneck(a.trainable(t.name() + ".adapter_down.weight", Init.KAIMING, m, c),
                    a.trainable(t.name() + ".adapter_down.bias", Init.ZEROS, m), a.trainable(t.name() + ".adapter_up.weight", Init.ZEROS, c, m),
                    a.trainable(t.name() + ".adapter_up.bias", Init.ZEROS, c), this));
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private Pattern places() {
        return Pattern.compile("(\\w+\\.)?layers\\.\\d+" + switch (placement) {
            case "houlsby" -> "\\.(attn|cross|mlp|mixer)\\.out";
            case "pfeiffer" -> "";
            case "parallel" -> "\\.(mlp|mixer)\\.out";
            default -> throw new AdapterException("placement is '" + placement + "'; it must be houlsby, pfeiffer or parallel.");
        });
    }

    /** One adapter, {@code W_down [m, C]}, {@code W_up [C, m]}. */
    private record Bottleneck(Var down, Var downBias, Var up, Var upBias, BottleneckAdapter of) implements Tap {
        @Override
        public Var apply(String name, Var h, At at) {
            Var x = of.placement.equals("parallel") ? at.read().orElseThrow() : h;
            Var inner = Activations.byName(of.nonLinearity, Linear.apply(x, down, downBias));
            Var f = Linear.apply(inner, up, upBias);
            return h.add(of.scaling == 1 ? f : f.mul(of.scaling));
        }
    }
}
