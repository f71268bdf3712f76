package dev.jotune.jmh.gpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Map;
import java.util.OptionalDouble;

/** What asking for a small kernel costs the caller: all of the Java side, from the backend's operation to the driver. */
final class Launches implements Work {
    private static final int VALUES = 256;
    private static final Program PLUS_ONE = Program.of(Expr.input(0).plus(1));

    private final Setting setting;
    private final Tensor[] x;

    Launches(Setting setting) {
        this.setting = setting;
        x = new Tensor[] {Tensor.zeros(setting.backend(), DType.F32, VALUES)};
    }

    @Override
    public void run(int set) {
        setting.backend().map(PLUS_ONE, x, x);
    }

    @Override
    public Mode mode() {
        return Mode.ENQUEUE;
    }

    @Override
    public Check check() {
        setting.backend().fill(x[0], 41);
        run(0);
        double wrong = 0;
        for (double v : x[0].toDoubleArray()) {
            wrong = Math.max(wrong, Math.abs(v - 42));
        }
        return new Check(wrong, 0);
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return micros;
    }

    @Override
    public Map<String, Object> facts() {
        return Map.of("type", "F32");
    }
}
