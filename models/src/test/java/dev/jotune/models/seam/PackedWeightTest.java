package dev.jotune.models.seam;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** A frozen weight that a product uses is held packed, and is still exactly the weight for everybody else. */
class PackedWeightTest {
    private static final Backend CPU = Backends.cpu();
    private static final Group ALL = Group.all(List.of());

    private static Tensor noise(Backend b, DType type, long stream, long... shape) {
        Tensor t = Tensor.empty(b, DType.F32, shape);
        b.normal(t, 4, stream);
        return t.to(type);
    }

    private static LinearLayer layer(Backend b, DType type, boolean transposed) {
        Parameter w = new Parameter("l.weight", Var.constant(noise(b, type, 1, transposed ? new long[] {33, 70} : new long[] {70, 33})));
        return new LinearLayer("l", w, Optional.empty(), transposed);
    }

    private static void close(Var got, Var want) {
        assertThat(got.shape()).isEqualTo(want.shape());
        assertThat(got.tensor().toDoubleArray()).containsExactly(want.tensor().toDoubleArray(), within(1e-4));
    }

    @Test
    void aProductPacksItsWeightAndTheBaseStaysTheSameNumbers() {
        for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
            for (boolean transposed : new boolean[] {false, true}) {
                LinearLayer l = layer(CPU, type, transposed);
                Var before = l.weight().base();
                Parameter.Content content = l.weight().content();
                Var x = Var.constant(noise(CPU, DType.F32, 2, 2, 5, 33));
                close(l.base(x, ALL), Linear.apply(x, l.oriented(before)));
                assertThat(l.weight().stored()).isInstanceOf(StoredWeight.Packed.class);
                assertThat(l.weight().content()).isSameAs(content);
                assertThat(l.weight().base().dtype()).isEqualTo(type);
                assertThat(l.weight().shape()).isEqualTo(before.shape());
                assertThat(l.weight().base().tensor().toDoubleArray()).isEqualTo(before.tensor().toDoubleArray());
                Tensor ids = Tensor.of(CPU, new long[] {32, 0, 32}, 3);
                assertThat(l.weight().stored().lookup(ids, DType.F32).tensor().toDoubleArray())
                        .isEqualTo(new StoredWeight.Dense(before).lookup(ids, DType.F32).tensor().toDoubleArray());
            }
        }
    }

    @Test
    void whatTrainsIsNotPacked() {
        LinearLayer l = layer(CPU, DType.F32, false);
        Var x = Var.constant(noise(CPU, DType.F32, 2, 3, 33));
        Var own = Var.parameter(noise(CPU, DType.F32, 5, 70, 33));
        Group tuned = Group.all(List.of(new Hooks("a", Map.of(), Map.of("l.weight", own), Optional.empty(), Map.of(), Map.of())));
        close(l.base(x, tuned), Linear.apply(x, own));
        assertThat(l.weight().stored()).isInstanceOf(StoredWeight.Dense.class);
        l.base(x, ALL);
        l.weight().replace(Var.parameter(l.weight().base().tensor()));
        Var loss = l.base(x, ALL).square().sum();
        assertThat(l.weight().stored()).isInstanceOf(StoredWeight.Dense.class);
        assertThat(Gradients.of(loss, List.of(l.weight().base())).getFirst().shape()).containsExactly(70, 33);
    }

    @Test
    void replacingAndRestoringGoThroughAllForms() {
        LinearLayer l = layer(CPU, DType.F32, false);
        Var x = Var.constant(noise(CPU, DType.F32, 2, 3, 33));
        double[] first = l.base(x, ALL).tensor().toDoubleArray();
        Parameter.Content before = l.weight().content();
        Var merged = Var.constant(noise(CPU, DType.F32, 6, 70, 33));
        l.weight().replace(merged);
        close(l.base(x, ALL), Linear.apply(x, merged));
        l.weight().restore(before);
        assertThat(l.base(x, ALL).tensor().toDoubleArray()).isEqualTo(first);
    }

    @Test
    void aResidualJoinsTheProduct() {
        LinearLayer l = layer(CPU, DType.F32, false);
        Seams seams = new Seams();
        seams.add(l.weight());
        seams.add(l);
        Var x = Var.constant(noise(CPU, DType.F32, 2, 2, 5, 33));
        Var residual = Var.constant(noise(CPU, DType.F32, 3, 2, 5, 70));
        close(l.forward(x, residual, seams.inference()), l.forward(x, seams.inference()).add(residual));
    }

    @Test
    void otherTypesAndBackendsGoOnAsBefore() {
        LinearLayer wide = layer(CPU, DType.F64, false);
        wide.base(Var.constant(noise(CPU, DType.F64, 2, 3, 33)), ALL);
        assertThat(wide.weight().stored()).isInstanceOf(StoredWeight.Dense.class);
        LinearLayer reference = layer(Backends.reference(), DType.F32, false);
        reference.base(Var.constant(noise(Backends.reference(), DType.F32, 2, 3, 33)), ALL);
        assertThat(reference.weight().stored()).isInstanceOf(StoredWeight.Dense.class);
    }
}
