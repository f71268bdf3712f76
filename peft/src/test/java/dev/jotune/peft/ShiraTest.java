package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.SparseLinear;
import dev.jotune.models.Backbone;
import dev.jotune.models.Models;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.SparsePattern;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import dev.jotune.testing.SettledMemory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** What the contract does not ask of SHiRA: PEFT's places, hostile places, and that nothing dense is made. */
class ShiraTest {
    private static final Path CASE = Golden.folder("peft").resolve("adapters/shira_llama");
    private static final String SOME = "base_model.model.model.layers.0.mlp.down_proj.shira_indices";

    private static Backbone base() {
        return Models.load(Golden.folder("peft").resolve("base/llama"), Backends.reference(), DType.F64).backbone();
    }

    @Test
    void aSeedChoosesThePlacesThatPeftChooses() {
        AdapterFiles.Contents saved = AdapterFiles.read(CASE);
        Adapter fresh = Adapters.create(base(), "a", saved.method(), 1);
        saved.tensors().forEach((key, t) -> {
            if (key.endsWith("shira_indices")) {
                assertThat(fresh.state().get(key).toLongArray()).as(key).isEqualTo(t.toLongArray());
            }
        });
        Adapter other = Adapters.create(base(), "a", Methods.configure(Methods.named("shira"), Map.of("r", 1)), 1);
        Adapter same = Adapters.create(base(), "a", Methods.configure(Methods.named("shira"), Map.of("r", 1)), 1);
        String query = "base_model.model.model.layers.0.self_attn.q_proj.shira_indices";
        long[] places = other.state().get(query).toLongArray();
        assertThat(places).isEqualTo(same.state().get(query).toLongArray()).isNotEqualTo(fresh.state().get(query).toLongArray())
                .isNotEqualTo(other.state().get(query.replace("layers.0", "layers.1")).toLongArray());
    }

    private static Adapter loaded(UnaryOperator<Tensor> changed) {
        AdapterFiles.Contents saved = AdapterFiles.read(CASE);
        Map<String, Tensor> tensors = new LinkedHashMap<>(saved.tensors());
        tensors.computeIfPresent(SOME, (k, t) -> changed.apply(t));
        return Adapters.restore(base(), "a", saved.method(), tensors);
    }

    /** PEFT on Windows writes floats. */
    @Test
    void placesMayBeWholeFloats() {
        assertThat(loaded(t -> t.to(DType.F32)).state().get(SOME).dtype()).isEqualTo(DType.I32);
        assertThatThrownBy(() -> loaded(t -> with(t, 0.5).to(DType.F32))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("0.5").hasMessageContaining(SOME);
    }

    @Test
    void placesOutsideTheWeightAreRefused() {
        assertThatThrownBy(() -> loaded(t -> with(t, -1))).isInstanceOf(AdapterException.class).hasMessageContaining("-1");
        assertThatThrownBy(() -> loaded(t -> with(t, 32))).isInstanceOf(AdapterException.class).hasMessageContaining("from 0 to 31");
    }

    /** The first row's first place replaced, as F64. */
    private static Tensor with(Tensor t, double first) {
        double[] values = t.to(DType.F64).toDoubleArray();
        values[0] = first;
        return Tensor.of(t.backend(), DType.F64, values, t.shape());
    }

    /** A weight of 16 MB, of which 1000 numbers change: a step stays far below it. */
    @Test
    void aStepMakesNothingDense() {
        Backend backend = Backends.cpu();
        int n = 2048;
        int k = 1000;
        long[] row = new long[k];
        long[] column = new long[k];
        Arrays.setAll(row, i -> Philox.nextInt(1, 0, i, n));
        Arrays.setAll(column, i -> Philox.nextInt(1, 1, i, n));
        SparsePattern pattern = SparsePattern.of(n, n, row, column);
        try (Scope scope = Scope.open()) {
            Var x = Var.parameter(Tensor.full(backend, DType.F32, 0.5, 4, n));
            Var values = Var.parameter(Tensor.full(backend, DType.F32, 0.1, k));
            long before = SettledMemory.inUse();
            Gradients.of(SparseLinear.apply(x, values, pattern).square().sum(), List.of(x, values));
            assertThat(HostMemory.peakBytes() - before).isPositive().isLessThan(1 << 20);
        }
    }
}
