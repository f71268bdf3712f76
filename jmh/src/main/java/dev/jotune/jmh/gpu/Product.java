package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;

/** {@code y = x W^T} as a linear layer has it: both operands lie along the inner sum. */
final class Product implements Work {
    /** Rows and columns of the corners that are compared: the first and the last, which lie in tiles of their own. */
    private static final int CORNER = 48;
    /** How CUDA devices take part in products of F32. */
    private static final String PRECISION = "jotune.cuda.fp32_precision";

    private final Setting setting;
    private final DType type;
    private final String precision;
    private final long m;
    private final long n;
    private final long k;
    private final Tensor[] x;
    private final Tensor[] w;
    private final Tensor[] y;

    Product(Setting setting, DType type, long m, long n, long k) {
        this(setting, type, "ieee", m, n, k);
    }

    /** @param precision of products of F32: ieee, tf32 or bf16x6 */
    Product(Setting setting, DType type, String precision, long m, long n, long k) {
        this.setting = setting;
        this.type = type;
        this.precision = precision;
        this.m = m;
        this.n = n;
        this.k = k;
        int sets = setting.sets((m + n) * k * type.byteSize());
        x = new Tensor[sets];
        w = new Tensor[sets];
        y = new Tensor[sets];
        for (int i = 0; i < sets; i++) {
            x[i] = setting.noise(type, 1, 2L * i, m, k);
            w[i] = setting.noise(type, 1, 2L * i + 1, n, k);
            y[i] = setting.poisoned(type, m, n);
        }
    }

    @Override
    public void run(int set) {
        String before = System.getProperty(PRECISION);
        System.setProperty(PRECISION, precision);
        try {
            setting.backend().matmul(x[set], w[set].transpose(0, 1), y[set], false);
        } finally {
            if (before == null) {
                System.clearProperty(PRECISION);
            } else {
                System.setProperty(PRECISION, before);
            }
        }
    }

    @Override
    public int sets() {
        return x.length;
    }

    @Override
    public Check check() {
        setting.poison(y[0]);
        run(0);
        if (Setting.hasNaN(y[0])) {
            return new Check(Double.NaN, 0);
        }
        long rows = Math.min(CORNER, m);
        long columns = Math.min(CORNER, n);
        double error = Math.max(corner(0, rows, 0, columns), Math.max(corner(m - rows, m, 0, columns), corner(m - rows, m, n - columns, n)));
        // TF32 rounds both operands, by 2^-11 at most. Sums in F32 of products that are exact in it lose no more than the last rounding, but
        // for their length.
        return new Check(error, precision.equals("tf32") ? 0x1p-10 : type == DType.F32 ? 2e-6 * Math.sqrt(k) : Setting.tolerance(type) / 2);
    }

    private double corner(long row, long toRow, long column, long toColumn) {
        Tensor a = Setting.here(x[0].slice(0, row, toRow)).to(Backends.reference()).to(DType.F64);
        Tensor b = Setting.here(w[0].slice(0, column, toColumn)).to(Backends.reference()).to(DType.F64);
        Tensor right = Tensor.empty(Backends.reference(), DType.F64, toRow - row, toColumn - column);
        Backends.reference().matmul(a, b.transpose(0, 1), right, false);
        return Setting.error(y[0].slice(0, row, toRow).slice(1, column, toColumn), right);
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return 2.0 * m * n * k / micros / 1e6;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", type.toString());
        facts.put("fp32_precision", precision);
        facts.put("flops", 2.0 * m * n * k);
        facts.put("sets", x.length);
        return facts;
    }
}
