package dev.jotune.peft.methods;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.function.UnaryOperator;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.SingularOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.QRDecomposition;
import org.ejml.interfaces.decomposition.SingularValueDecomposition_F64;

/**
 * A low-rank part of W that {@link Lora} starts with and that the frozen rest then lacks: {@code W' = W - s B0 A0 + s B A}.
 *
 * <ul>
 * <li>PiSSA (Meng et al., arXiv 2404.02948): the r largest singular directions, {@code B0 = U (S / s)^1/2},
 * {@code A0 = (S / s)^1/2 V^T}.
 * <li>OLoRA (Büyükakyüz, arXiv 2406.01775): of {@code W = Q R}, {@code B0 = Q[:, :r]}, {@code A0 = R[:r]}.
 * </ul>
 *
 * <p>The model keeps its W, and a file holds A and B alone: B0 A0 follows from W, up to signs that cancel in the product.
 *
 * @param a {@code A0 [r, in]}
 * @param b {@code B0 [out, r]}
 */
record Removed(Var a, Var b, double scale) {
    /** @param start {@code pissa} or {@code olora} */
    static Removed of(String start, LinearLayer layer, int rank, double scale, DType type) {
        int out = Math.toIntExact(layer.out());
        int in = Math.toIntExact(layer.in());
        if (rank > Math.min(out, in)) {
            throw new AdapterException("init_lora_weights " + start + " takes " + rank + " directions of " + layer.path() + " [" + out + ", " + in
                    + "], which has fewer. Lower r.");
        }
        DMatrixRMaj w = DMatrixRMaj.wrap(out, in, Recording.off(() -> layer.oriented(layer.weight().base())).tensor().contiguous().toDoubleArray());
        DMatrixRMaj[] parts = start.equals("pissa") ? singular(w, rank, scale, layer) : triangular(w, rank);
        return new Removed(constant(parts[0], layer, type), constant(parts[1], layer, type), scale);
    }

    private static DMatrixRMaj[] singular(DMatrixRMaj w, int rank, double scale, LinearLayer layer) {
        SingularValueDecomposition_F64<DMatrixRMaj> svd = DecompositionFactory_DDRM.svd(w.numRows, w.numCols, true, true, true);
        if (!svd.decompose(w.copy())) {
            throw new AdapterException("the singular values of " + layer.weight().path() + " do not converge. Does it hold numbers that are not "
                    + "finite?");
        }
        DMatrixRMaj u = svd.getU(null, false);
        DMatrixRMaj v = svd.getV(null, true);
        DMatrixRMaj s = svd.getW(null);
        SingularOps_DDRM.descendingOrder(u, false, s, v, true);
        DMatrixRMaj a = new DMatrixRMaj(rank, w.numCols);
        DMatrixRMaj b = new DMatrixRMaj(w.numRows, rank);
        for (int k = 0; k < rank; k++) {
            double root = Math.sqrt(s.get(k, k) / scale);
            for (int i = 0; i < w.numCols; i++) {
                a.set(k, i, v.get(k, i) * root);
            }
            for (int i = 0; i < w.numRows; i++) {
                b.set(i, k, u.get(i, k) * root);
            }
        }
        return new DMatrixRMaj[] {a, b};
    }

    private static DMatrixRMaj[] triangular(DMatrixRMaj w, int rank) {
        QRDecomposition<DMatrixRMaj> qr = DecompositionFactory_DDRM.qr(w.numRows, w.numCols);
        qr.decompose(w.copy());
        DMatrixRMaj q = qr.getQ(null, true);
        DMatrixRMaj r = qr.getR(null, true);
        DMatrixRMaj a = new DMatrixRMaj(rank, w.numCols);
        DMatrixRMaj b = new DMatrixRMaj(w.numRows, rank);
        for (int k = 0; k < rank; k++) {
            for (int i = 0; i < w.numCols; i++) {
                a.set(k, i, r.get(k, i));
            }
            for (int i = 0; i < w.numRows; i++) {
                b.set(i, k, q.get(i, k));
            }
        }
        return new DMatrixRMaj[] {a, b};
    }

    private static Var constant(DMatrixRMaj m, LinearLayer layer, DType type) {
        return Var.constant(Scope.detach(Tensor.of(layer.weight().backend(), type, m.data, m.numRows, m.numCols)));
    }

    /** {@code p} on the rest of W. */
    Projection under(Projection p) {
        return new Projection() {
            @Override
            public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
                return p.forward(x, v -> inner.apply(v).addScaled(Linear.apply(Linear.apply(v, a), b), -scale), layer, pass);
            }

            @Override
            public Var weight(Var w) {
                return p.weight(w.addScaled(b.matmul(a), -scale));
            }

            @Override
            public Var bias(Var bias) {
                return p.bias(bias);
            }
        };
    }
}
