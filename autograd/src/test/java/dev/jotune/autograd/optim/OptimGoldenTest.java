package dev.jotune.autograd.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Trajectories of optimisers, schedules and clipping against recorded ones. */
@Tag("golden")
class OptimGoldenTest {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /** Where a check runs and which of its tolerances holds there. */
    private record Machine(Backend backend, DType dtype, String tolerance) {
        Tensor tensor(Golden.Array a) {
            return Tensor.of(backend, dtype, a.values(), a.shape());
        }
    }

    private static List<Machine> machines() {
        return List.of(new Machine(Backends.reference(), DType.F64, "atol_float64"),
                new Machine(Backends.cpu(), DType.F32, "atol_float32"));
    }

    private static Stream<DynamicTest> checks(String id, boolean tensors) {
        Golden.Case golden = Golden.cases("ops", id).findFirst().orElseThrow();
        return golden.checks().stream().filter(c -> !tensors || !c.path("expected").isEmpty())
                .flatMap(check -> machines().stream().map(m -> DynamicTest.dynamicTest(
                        check.get("name").asText() + " in " + m.dtype(), () -> run(golden, check, m))));
    }

    private static void run(Golden.Case golden, JsonNode check, Machine m) {
        switch (golden.id()) {
            case "optimisers" -> optimiser(golden, check, m);
            case "gradient_clipping" -> clipping(golden, check, m);
            default -> throw new AssertionError("no test for " + golden.id());
        }
    }

    /** A check is named after what it tests, possibly followed by what is special. */
    private static String longestPrefix(Collection<String> names, String check) {
        return names.stream().filter(check::startsWith).max(Comparator.comparingInt(String::length))
                .orElseThrow(() -> new AssertionError("no name in " + names + " begins " + check));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> settings(JsonNode check) {
        return JSON.convertValue(check.get("settings"), Map.class);
    }

    private static Golden.Array input(Golden.Case golden, JsonNode check, String name) {
        return Golden.array(golden.file("inputs.safetensors"), check.get("inputs").get(name).get("tensor").asText());
    }

    private static void compare(Golden.Case golden, JsonNode expected, Machine m, double[] got, String what) {
        double[] want = Golden.array(golden.file("expected.safetensors"), expected.get("tensor").asText()).values();
        double atol = expected.get(m.tolerance()).asDouble();
        assertThat(got).as(what).hasSameSizeAs(want);
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).as("%s[%d]", what, i).isCloseTo(want[i], within(atol));
        }
    }

    private static void optimiser(Golden.Case golden, JsonNode check, Machine m) {
        Map<String, Object> settings = settings(check);
        UpdateRule rule = Optimizers.byName(longestPrefix(Optimizers.names(), check.get("name").asText()), settings);
        double rate = settings.get("lr") instanceof Number n ? n.doubleValue() : 0;
        Optimizer optimizer = rule.with(Schedule.constant(rate));
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        Map<String, List<double[]>> trajectory = new LinkedHashMap<>();
        check.get("expected").fieldNames().forEachRemaining(name -> {
            parameters.put(name, m.tensor(input(golden, check, "start." + name)));
            gradients.put(name, m.tensor(input(golden, check, "gradient." + name)));
            trajectory.put(name, new ArrayList<>());
        });
        long steps = gradients.values().iterator().next().size(0);
        for (long i = 0; i < steps; i++) {
            long step = i;
            optimizer.step(parameters.entrySet().stream().map(e -> new Trainable(e.getKey(), e.getValue(),
                    gradients.get(e.getKey()).select(0, step))).toList());
            parameters.forEach((name, p) -> trajectory.get(name).add(p.toDoubleArray()));
        }
        trajectory.forEach((name, list) -> compare(golden, check.get("expected").get(name), m,
                list.stream().flatMapToDouble(Arrays::stream).toArray(), name));
    }

    private static void clipping(Golden.Case golden, JsonNode check, Machine m) {
        Settings settings = new Settings("the check", settings(check));
        JsonNode limit = check.get("settings").get("clip_value");
        GradientTransform clip = limit != null ? GradientTransforms.clipByValue(limit.asDouble())
                : GradientTransforms.clipByNorm(settings.number("max_norm", 1), settings.number("norm_type", 2));
        List<Trainable> given = new ArrayList<>();
        check.get("inputs").fieldNames().forEachRemaining(name -> {
            Tensor g = m.tensor(input(golden, check, name));
            given.add(new Trainable(name, Tensor.zeros(m.backend(), m.dtype(), g.shape()), g));
        });
        for (Trainable t : clip.apply(0, given)) {
            compare(golden, check.get("expected").get("clipped." + t.name()), m, t.gradient().toDoubleArray(),
                    t.name());
        }
        if (clip instanceof ClipByNorm byNorm) {
            JsonNode norm = check.get("numbers").get("total_norm");
            assertThat(byNorm.lastNorm()).isCloseTo(norm.get("value").asDouble(),
                    within(norm.get(m.tolerance()).asDouble()));
        }
    }

    @TestFactory
    Stream<DynamicTest> optimisersFollowTheRecordedTrajectories() {
        return checks("optimisers", true);
    }

    @TestFactory
    Stream<DynamicTest> clippingGivesTheRecordedGradients() {
        return checks("gradient_clipping", true);
    }

    @TestFactory
    Stream<DynamicTest> schedulesGiveTheRecordedRates() {
        Golden.Case golden = Golden.cases("ops", "schedules").findFirst().orElseThrow();
        return golden.checks().stream().map(check -> DynamicTest.dynamicTest(check.get("name").asText(), () -> {
            String name = longestPrefix(Schedules.names(), check.get("name").asText());
            Schedule schedule = Schedules.byName(name, settings(check));
            List<JsonNode> rates = Golden.children(check.get("rates"));
            for (int i = 0; i < rates.size(); i++) {
                assertThat(schedule.rate(i)).as("rate %d", i).isCloseTo(rates.get(i).asDouble(), within(1e-12));
            }
        }));
    }
}
