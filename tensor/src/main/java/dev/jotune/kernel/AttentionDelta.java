package dev.jotune.kernel;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Optional;

/**
 * What every gradient of attention's scores has in common for a query: {@code delta = rowsum(dOut out) - dLse}, so that
 * {@code dS = P (dOut V^T - delta)} (FlashAttention-2, arXiv 2307.08691, section 3.1.2). 0 for a query that sees no key, whose
 * gradients may be anything.
 */
public final class AttentionDelta {
    private static final Program DELTA = delta(Expr.of(0));
    private static final Program DELTA_WITH_LSE = delta(Expr.rowInput(3));

    private AttentionDelta() {}

    private static Program delta(Expr dLse) {
        Expr seen = Expr.rowInput(2).gt(Expr.of(Double.NEGATIVE_INFINITY));
        return Program.of(Expr.select(seen, Expr.input(0).times(Expr.input(1)).rowSum().minus(dLse), Expr.of(0)));
    }

    /** A new F32 tensor of the shape of {@code lse [B, H, T]}; {@code out} and {@code dOut} are {@code [B, H, T, Dv]}. */
    public static Tensor of(Backend device, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse) {
        Tensor delta = Tensor.empty(device, DType.F32, lse.shape());
        Tensor[] to = {delta.unsqueeze(3)};
        if (dLse.isPresent()) {
            device.map(DELTA_WITH_LSE, new Tensor[] {out, dOut, lse.unsqueeze(3), dLse.get().unsqueeze(3)}, to);
        } else {
            device.map(DELTA, new Tensor[] {out, dOut, lse.unsqueeze(3)}, to);
        }
        return delta;
    }
}
