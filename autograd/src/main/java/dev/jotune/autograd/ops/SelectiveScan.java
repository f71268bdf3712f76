package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.ScanKernel.Problem;
import dev.jotune.tensor.kernels.ScanKernel.Targets;
import java.util.Arrays;
import java.util.Optional;

/**
 * The selective scan (Gu and Dao, Mamba, arXiv 2312.00752): a linear recurrence whose step size and whose input and
 * output maps depend on the input, {@code h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t}, {@code y_t = C_t h_t + D x_t}.
 *
 * <p>The kernel keeps one state in {@link ScanKernel#CHUNK} for the backward pass and computes the others again: E N T /
 * CHUNK numbers for each row instead of the E N T of the definition.
 */
public final class SelectiveScan {
    private static final Expr STATE = Expr.input(0);
    /** Inputs: state [B, E, N], A [E, N], B [B, 1, N], dt [B, E, 1], x [B, E, 1]. */
    private static final MapOp STEP = MapOp.of("scan_step", 5, Expr.rowInput(3).times(Expr.input(1)).exp().times(STATE)
            .plus(Expr.rowInput(3).times(Expr.rowInput(4)).times(Expr.input(2))));
    /** Inputs: state [B, E, N], C [B, 1, N], D [E, 1], x [B, E, 1]. */
    private static final MapOp READ = MapOp.of("scan_read", 4,
            STATE.times(Expr.input(1)).rowSum().plus(Expr.rowInput(2).times(Expr.rowInput(3))));

    /**
     * What a scan gives.
     *
     * @param out {@code [B, T, E]}
     * @param state the state after the last step, {@code [B, E, N]}
     */
    public record Result(Var out, Var state) {}

    private SelectiveScan() {}

    /**
     * Runs the recurrence over T steps.
     *
     * @param x {@code [B, T, E]}
     * @param dt step sizes {@code [B, T, E]}, in Mamba the softplus of a projection
     * @param a {@code [E, N]}, in Mamba {@code -exp(A_log)}
     * @param b {@code [B, T, N]}
     * @param c {@code [B, T, N]}
     * @param d {@code [E]}
     * @param state the state before the first step, {@code [B, E, N]}
     * @throws IllegalArgumentException if the shapes do not fit each other
     */
    public static Result apply(Var x, Var dt, Var a, Var b, Var c, Var d, Var state) {
        Var[] in = {x, dt, a, b, c, d, state};
        check(in);
        Problem problem = new Problem(x.tensor(), dt.tensor(), a.tensor(), b.tensor(), c.tensor(), d.tensor(), state.tensor());
        Optional<ScanKernel> kernel = x.backend().kernel(ScanKernel.class).filter(k -> k.supports(problem));
        if (kernel.isEmpty() || Arrays.stream(in).anyMatch(v -> v.dtype() != DType.F32)) {
            return definition(x, dt, a, b, c, d, state);
        }
        boolean goesBack = Recording.isOn() && Arrays.stream(in).anyMatch(Var::requiresGrad);
        Tensor out = Tensor.empty(x.backend(), DType.F32, x.shape());
        Tensor last = Tensor.empty(x.backend(), DType.F32, state.shape());
        long chunks = (x.size(1) + ScanKernel.CHUNK - 1) / ScanKernel.CHUNK;
        Optional<Tensor> kept = goesBack ? Optional.of(Tensor.empty(x.backend(), DType.F32, x.size(0), chunks, a.size(0), a.size(1)))
                : Optional.empty();
        kernel.get().forward(problem, out, last, kept);
        Var[] results = Fused.record("selective_scan", in, new Tensor[] {out, last},
                (up, needed) -> backward(kernel.get(), problem, kept.orElseThrow(), in, up, needed), v -> {
                    Result r = definition(v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
                    return new Var[] {r.out(), r.state()};
                });
        return new Result(results[0], results[1]);
    }

    private static Tensor[] backward(ScanKernel kernel, Problem problem, Tensor kept, Var[] in, Tensor[] up, boolean[] needed) {
        Tensor[] g = new Tensor[in.length];
        for (int i = 0; i < g.length; i++) {
            g[i] = needed[i] ? Tensor.empty(kept.backend(), DType.F32, in[i].shape()) : null;
        }
        Tensor dOut = up[0] != null ? up[0] : Tensor.zeros(kept.backend(), DType.F32, problem.x().shape());
        Tensor dLast = up[1] != null ? up[1] : Tensor.zeros(kept.backend(), DType.F32, problem.state().shape());
        kernel.backward(problem, kept, dOut, dLast, new Targets(Optional.ofNullable(g[0]), Optional.ofNullable(g[1]),
                Optional.ofNullable(g[2]), Optional.ofNullable(g[3]), Optional.ofNullable(g[4]), Optional.ofNullable(g[5]),
                Optional.ofNullable(g[6])));
        return g;
    }

    /** The scan in terms of primitives, one step after the other. */
    public static Result definition(Var x, Var dt, Var a, Var b, Var c, Var d, Var state) {
        Var h = state;
        Var skip = d.reshape(-1, 1);
        Var[] out = new Var[Math.toIntExact(x.size(1))];
        for (int t = 0; t < out.length; t++) {
            Var xt = x.slice(1, t, t + 1).transpose(1, 2);
            h = STEP.apply(h, a, b.slice(1, t, t + 1), dt.slice(1, t, t + 1).transpose(1, 2), xt);
            out[t] = READ.apply(h, c.slice(1, t, t + 1), skip, xt);
        }
        return new Result(out.length == 0 ? x : Var.concat(2, out).transpose(1, 2), h);
    }

    private static void check(Var[] in) {
        String[] names = {"x", "dt", "a", "b", "c", "d", "state"};
        int[] ranks = {3, 3, 2, 3, 3, 1, 3};
        StringBuilder got = new StringBuilder();
        boolean fits = true;
        for (int i = 0; i < in.length; i++) {
            fits &= in[i].rank() == ranks[i];
            got.append(i == 0 ? "" : ", ").append(names[i]).append(' ').append(Arrays.toString(in[i].shape()));
        }
        if (fits) {
            long rows = in[0].size(0);
            long time = in[0].size(1);
            long e = in[0].size(2);
            long n = in[2].size(1);
            long[][] want = {in[0].shape(), {rows, time, e}, {e, n}, {rows, time, n}, {rows, time, n}, {e}, {rows, e, n}};
            for (int i = 0; i < in.length; i++) {
                fits &= Arrays.equals(in[i].shape(), want[i]);
            }
        }
        if (!fits) {
            throw new IllegalArgumentException("a selective scan got " + got + ". It needs x and dt [B, T, E], a [E, N], "
                    + "b and c [B, T, N], d [E] and state [B, E, N].");
        }
    }
}
