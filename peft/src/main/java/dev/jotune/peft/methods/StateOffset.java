package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.regex.Pattern;

/**
 * State-offset Tuning: State-based Parameter-Efficient Fine-Tuning for State Space Models (Kang et al., arXiv 2503.03499).
 *
 * <p>A block scans {@code h_t = A_t h_(t-1) + B_t u_t}, {@code y_t = C_t h_t + D u_t}, and gates {@code y_t silu(z_t)}. Variant
 * {@code h} adds an offset {@code S [E, N]} to every state as it is read, {@code y_t = C_t (h_t + S) + D u_t}; variant {@code y}
 * adds {@code b [E]} to what is read, {@code y_t + b}. Unlike a state to start from, an offset does not decay with
 * {@code A_1 .. A_t}. It starts at 0. Trainable: {@code L E N}, or {@code L E}; with a rank r, {@code S = P Q}, {@code L r (E + N)}.
 *
 * @param variant {@code h} or {@code y}
 * @param r rank of S; 0: S as it is
 */
public record StateOffset(String variant, int r, List<String> modulesToSave) implements TuningMethod {
    public static final StateOffset DEFAULTS = new StateOffset("h", 0, List.of());

    public StateOffset of(String kind) {
        return new StateOffset(kind, r, modulesToSave);
    }

    public StateOffset withRank(int rank) {
        return new StateOffset(variant, rank, modulesToSave);
    }

    @Override
    public StateOffset withModulesToSave(List<String> modules) {
        return new StateOffset(variant, r, modules);
    }

    @Override
    public String peftType() {
        return "STATE_OFFSET";
    }

    @Override
    public void attachTo(Attachment a) {
        boolean states = switch (variant) {
            case "h" -> true;
            case "y" -> false;
            default -> throw new AdapterException("variant is '" + variant + "'; it must be h or y.");
        };
        if (r < 0 || r > 0 && !states) {
            throw new AdapterException("r is " + r + (r < 0 ? "; it must be 0, for an offset that is no product, or positive."
                    : ", but variant y has no matrix to factorise. Leave r out."));
        }
        List<TapSite> places = a.taps(Pattern.compile("layers\\.\\d+\\.ssm\\." + (states ? "offset" : "out")));
        if (places.isEmpty()) {
            throw new AdapterException("state-offset tuning is for state space models, and a " + a.model().modelType()
                    + " model has no states. Choose another method.");
        }
        for (TapSite t : places) {
            a.tap(t.name(), states ? states(a, t) : outputs(a, t));
        }
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    /** S is added to what the model adds to its states: zero, or another method's offset. */
    private Tap states(Attachment a, TapSite t) {
        long e = t.features().getFirst();
        if (r == 0) {
            Var s = a.trainable(t.name() + ".S", Init.ZEROS, e, t.width());
            return (_, zero, _) -> zero.add(s);
        }
        Var p = a.trainable(t.name() + ".P", Init.ZEROS, e, r);
        Var q = a.trainable(t.name() + ".Q", Init.KAIMING, r, t.width());
        return (_, zero, _) -> zero.add(p.matmul(q));
    }

    private static Tap outputs(Attachment a, TapSite t) {
        Var b = a.trainable(t.name() + ".b", Init.ZEROS, t.width());
        return (_, y, _) -> y.add(b);
    }
}
