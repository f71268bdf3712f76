package dev.jotune.jmh;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;

/**
 * Where a step's time goes, operation by operation: {@code StepAccount CASE [F32|BF16] [steps] [lines]}, the cases of {@link Steps}.
 * The noting itself takes some percent of a step.
 */
public final class StepAccount {
    private static final int WARM_UP = 8;

    private StepAccount() {}

    public static void main(String[] args) {
        DType weights = args.length > 1 ? DType.valueOf(args[1]) : DType.F32;
        int steps = args.length > 2 ? Integer.parseInt(args[2]) : 4;
        int lines = args.length > 3 ? Integer.parseInt(args[3]) : 30;
        Account account = new Account(Backends.cpu());
        Workload work = new Workload(args[0], 30, 4, 128, weights, weights == DType.BF16 ? Precision.BF16 : Precision.F32, account.backend());
        for (int i = 0; i < WARM_UP; i++) {
            work.run();
        }
        account.reset();
        long start = System.nanoTime();
        for (int i = 0; i < steps; i++) {
            work.run();
        }
        System.out.print(account.report(lines, (System.nanoTime() - start) / 1e9));
        System.out.println(steps + " steps");
    }
}
