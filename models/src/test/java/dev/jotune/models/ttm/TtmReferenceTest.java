package dev.jotune.models.ttm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.Series;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The published checkpoint against the original implementation: forecasts, states, losses, gradients. */
class TtmReferenceTest {
    /** What holds on one backend, relative to the largest number of a tensor. */
    private record Machine(Backend backend, DType type, double tolerance) {
        Tensor tensor(String name) {
            Golden.Array a = TtmFiles.reference(name);
            return Tensor.of(backend, type, a.values(), a.shape());
        }

        void close(String name, Tensor got) {
            Golden.Array want = TtmFiles.reference(name);
            assertThat(got.numel()).as(name).isEqualTo(want.values().length);
            double scale = 0;
            for (double w : want.values()) {
                scale = Math.max(scale, Math.abs(w));
            }
            double[] values = got.toDoubleArray();
            for (int i = 0; i < values.length; i++) {
                assertThat(Math.abs(values[i] - want.values()[i])).as("%s[%d]: %s, not %s", name, i, values[i], want.values()[i])
                        .isLessThanOrEqualTo(tolerance * scale);
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> everyNumber() {
        return Stream.of(new Machine(Backends.reference(), DType.F64, 1e-9), new Machine(Backends.cpu(), DType.F32, 1e-4)).flatMap(m -> Stream.of(
                DynamicTest.dynamicTest("everything observed, " + m.type, () -> observed(m)),
                DynamicTest.dynamicTest("values missing, " + m.type, () -> missing(m)),
                DynamicTest.dynamicTest("gradients, " + m.type, () -> gradients(m))));
    }

    private static void observed(Machine m) {
        Ttm model = TtmFiles.model(m.backend, m.type);
        Map<String, Tensor> seen = new HashMap<>();
        Tap keep = (name, x, _) -> {
            seen.put(name, x.tensor());
            return x;
        };
        model.seams().attach(Hooks.ofTaps("keep", Map.of("embed", keep, "final", keep)));
        Pass pass = model.seams().inference();
        Series past = Series.of(m.tensor("past"));
        m.close("forecast", model.forecast(past, pass).tensor());
        m.close("embed", seen.get("embed"));
        m.close("final", seen.get("final"));
        m.close("loss", model.loss(past, Series.of(m.tensor("future")), pass).tensor());
    }

    private static void missing(Machine m) {
        Ttm model = TtmFiles.model(m.backend, m.type);
        Pass pass = model.seams().inference();
        Series past = Series.of(m.tensor("past")).withObserved(m.tensor("observed"));
        m.close("masked.forecast", model.forecast(past, pass).tensor());
        Series future = Series.of(m.tensor("future")).withObserved(m.tensor("future_observed"));
        m.close("masked.loss", model.loss(past, future, pass).tensor());
    }

    private static void gradients(Machine m) {
        Ttm model = TtmFiles.model(m.backend, m.type);
        Var past = Var.parameter(m.tensor("past"));
        List<Parameter> parameters = List.copyOf(model.seams().parameters().values());
        List<Var> wrt = new ArrayList<>(List.of(past));
        for (Parameter p : parameters) {
            p.replace(Var.parameter(p.base().tensor()));
            wrt.add(p.base());
        }
        Series future = Series.of(m.tensor("future"));
        List<Tensor> stored = Gradients.of(model.loss(Series.of(past), future, model.seams().inference()), wrt);
        m.close("grad.past", stored.getFirst());
        Set<String> given = Golden.arrays(TtmFiles.file("reference.safetensors")).keySet();
        int whole = 0;
        for (int i = 0; i < parameters.size(); i++) {
            String path = parameters.get(i).path();
            double sum = 0;
            for (double v : stored.get(i + 1).toDoubleArray()) {
                sum += v * v;
            }
            m.close("grad_norm." + path, Tensor.of(m.backend, DType.F64, new double[] {Math.sqrt(sum)}, 1));
            if (given.contains("grad." + path)) {
                m.close("grad." + path, stored.get(i + 1));
                whole++;
            }
        }
        assertThat(whole).isEqualTo(5);
        model.setCheckpointing(true);
        List<Tensor> again = Gradients.of(model.loss(Series.of(past), future, model.seams().inference()), wrt);
        for (int i = 0; i < again.size(); i++) {
            assertThat(again.get(i).toDoubleArray()).as("recomputed blocks").isEqualTo(stored.get(i).toDoubleArray());
        }
    }
}
