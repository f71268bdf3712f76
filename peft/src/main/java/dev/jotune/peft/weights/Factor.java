package dev.jotune.peft.weights;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.SingularOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.SingularValueDecomposition_F64;

/**
 * A small matrix in doubles, row by row: a factor of an adapter, or the product of two.
 *
 * @param numbers {@code rows columns} of them
 */
record Factor(int rows, int columns, double[] numbers) {
    static Factor of(Tensor t) {
        return new Factor((int) t.size(0), (int) t.size(1), t.toDoubleArray());
    }

    static Factor zeros(int rows, int columns) {
        return new Factor(rows, columns, new double[rows * columns]);
    }

    /** Copies {@code part} to the place whose first corner is given. */
    void place(int row, int column, Factor part) {
        for (int r = 0; r < part.rows; r++) {
            System.arraycopy(part.numbers, r * part.columns, numbers, (row + r) * columns + column, part.columns);
        }
    }

    Factor times(double scale) {
        return new Factor(rows, columns, Arrays.stream(numbers).map(x -> x * scale).toArray());
    }

    /** The matrix product. */
    Factor by(Factor other) {
        DMatrixRMaj out = new DMatrixRMaj(rows, other.columns);
        CommonOps_DDRM.mult(matrix(), other.matrix(), out);
        return new Factor(rows, other.columns, out.data);
    }

    private DMatrixRMaj matrix() {
        return DMatrixRMaj.wrap(rows, columns, numbers);
    }

    /** The least rank whose largest singular values hold {@code share} of the sum of their squares. */
    int rankOf(double share) {
        double[] s = SingularOps_DDRM.singularValues(matrix().copy());
        double[] squares = Arrays.stream(s).map(x -> x * x).sorted().toArray();
        double wanted = share * Arrays.stream(squares).sum();
        double held = 0;
        for (int r = 1; r <= squares.length; r++) {
            held += squares[squares.length - r];
            if (held >= wanted) {
                return r;
            }
        }
        return squares.length;
    }

    /** The r largest singular directions as A {@code = V^T [r, columns]} and B {@code = U S [rows, r]}. */
    List<Factor> decomposed(int r, OptionalDouble clamp) {
        SingularValueDecomposition_F64<DMatrixRMaj> svd = DecompositionFactory_DDRM.svd(rows, columns, true, true, true);
        if (!svd.decompose(matrix().copy())) {
            throw new ArithmeticException("the singular values of a [" + rows + ", " + columns + "] product do not converge. "
                    + "Do the adapters hold numbers that are not finite?");
        }
        DMatrixRMaj u = svd.getU(null, false);
        DMatrixRMaj v = svd.getV(null, true);
        DMatrixRMaj s = svd.getW(null);
        SingularOps_DDRM.descendingOrder(u, false, s, v, true);
        Factor a = zeros(r, columns);
        Factor b = zeros(rows, r);
        for (int k = 0; k < r; k++) {
            for (int i = 0; i < columns; i++) {
                a.numbers[k * columns + i] = v.get(k, i);
            }
            for (int i = 0; i < rows; i++) {
                b.numbers[i * r + k] = u.get(i, k) * s.get(k, k);
            }
        }
        return clamp.isEmpty() ? List.of(a, b) : clamped(a, b, clamp.getAsDouble());
    }

    /**
     * Magnitudes cut to the quantile of all numbers, as PEFT does. The quantile sees signs, so it depends on which of the
     * two signs a decomposition gives each pair of singular vectors: LAPACK's differ from those here.
     */
    static List<Factor> clamped(Factor a, Factor b, double quantile) {
        double[] all = Arrays.copyOf(b.numbers, b.numbers.length + a.numbers.length);
        System.arraycopy(a.numbers, 0, all, b.numbers.length, a.numbers.length);
        Arrays.sort(all);
        double place = quantile * (all.length - 1);
        int below = (int) place;
        double limit = all[below] + (place - below) * (all[Math.min(below + 1, all.length - 1)] - all[below]);
        return List.of(a.cut(limit), b.cut(limit));
    }

    private Factor cut(double limit) {
        return new Factor(rows, columns, Arrays.stream(numbers).map(x -> Math.min(Math.max(x, -limit), limit)).toArray());
    }

    /** As an adapter's file stores it. */
    Tensor tensor() {
        return Tensor.of(Backends.cpu(), DType.F32, numbers, rows, columns);
    }
}
