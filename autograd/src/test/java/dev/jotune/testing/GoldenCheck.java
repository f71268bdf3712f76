package dev.jotune.testing;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One check of a golden case of operations: its inputs as parameters, and the comparison of results and gradients.
 * The gradients expected are of the sum over outputs Y of (upstream.Y * Y); without upstream of Y itself.
 */
public final class GoldenCheck {
    private final Golden.Case golden;
    private final JsonNode check;
    private final Backend backend;
    private final DType type;
    private final Map<String, Var> parameters = new LinkedHashMap<>();

    public GoldenCheck(Golden.Case golden, JsonNode check, Backend backend, DType type) {
        this.golden = golden;
        this.check = check;
        this.backend = backend;
        this.type = type;
    }

    public String name() {
        return check.get("name").asText();
    }

    public String how() {
        return check.path("how").asText();
    }

    public Backend backend() {
        return backend;
    }

    public DType type() {
        return type;
    }

    public boolean has(String input) {
        return check.path("inputs").has(input);
    }

    /** A setting, or {@code otherwise} where the check does not state it. */
    public double setting(String name, double otherwise) {
        return check.path("settings").path(name).asDouble(otherwise);
    }

    public JsonNode settings() {
        return check.path("settings");
    }

    /** A floating input as a parameter; the same one each time. */
    public Var input(String name) {
        return parameters.computeIfAbsent(name, n -> Var.parameter(tensor(n)));
    }

    /** Any input: integers as I64, BOOL as it is, floating ones in this check's type. */
    public Tensor tensor(String name) {
        JsonNode entry = check.get("inputs").get(name);
        Golden.Array a = Golden.array(golden.file("inputs.safetensors"), entry.get("tensor").asText());
        return switch (entry.get("dtype").asText()) {
            case "I64", "I32" -> Tensor.of(backend, a.longs(), a.shape());
            case "BOOL" -> Tensor.of(backend, DType.BOOL, a.values(), a.shape());
            default -> Tensor.of(backend, type, a.values(), a.shape());
        };
    }

    public void compare(Var output) {
        compare(Map.of("output", output));
    }

    /** Compares everything that the check expects. */
    public void compare(Map<String, Var> outputs) {
        int compared = 0;
        List<Var> wrt = new ArrayList<>(parameters.values());
        List<Tensor> gradients = null;
        for (Map.Entry<String, JsonNode> e : check.path("expected").properties()) {
            Golden.Array want = Golden.array(golden.file("expected.safetensors"), e.getValue().get("tensor").asText());
            Tensor got;
            if (e.getKey().startsWith("grad.")) {
                gradients = gradients == null ? gradients(outputs, wrt) : gradients;
                got = gradients.get(wrt.indexOf(input(e.getKey().substring("grad.".length()))));
            } else {
                got = outputs.get(e.getKey()).tensor();
            }
            compare(e.getKey(), got, want.shape(), want.values(), tolerance(e.getValue()));
            compared++;
        }
        for (Map.Entry<String, JsonNode> e : check.path("numbers").properties()) {
            compare(e.getKey(), outputs.get(e.getKey()).tensor(), new long[0],
                    new double[] {e.getValue().get("value").asDouble()}, tolerance(e.getValue()));
            compared++;
        }
        if (compared == 0) {
            throw new AssertionError(name() + " expects nothing, so nothing was tested.");
        }
    }

    private double tolerance(JsonNode entry) {
        return entry.get(type == DType.F64 ? "atol_float64" : "atol_float32").asDouble();
    }

    private List<Tensor> gradients(Map<String, Var> outputs, List<Var> wrt) {
        List<Var> ys = new ArrayList<>();
        List<Var> upstream = new ArrayList<>();
        outputs.forEach((n, y) -> {
            if (y.requiresGrad() && (has("upstream." + n) || y.rank() == 0)) {
                ys.add(y);
                upstream.add(Var.constant(has("upstream." + n) ? tensor("upstream." + n) : Tensor.full(backend, type, 1)));
            }
        });
        return Gradients.of(ys, upstream, wrt, false).stream().map(Var::tensor).toList();
    }

    private void compare(String what, Tensor got, long[] shape, double[] want, double tolerance) {
        if (!java.util.Arrays.equals(got.shape(), shape)) {
            throw new AssertionError(name() + ", " + what + ": shape " + java.util.Arrays.toString(got.shape())
                    + ", expected " + java.util.Arrays.toString(shape) + ".");
        }
        double[] values = got.toDoubleArray();
        for (int i = 0; i < want.length; i++) {
            boolean same = values[i] == want[i] || Math.abs(values[i] - want[i]) <= tolerance;
            if (!same) {
                throw new AssertionError(name() + ", " + what + ", element " + i + ": " + values[i] + ", expected " + want[i]
                        + " within " + tolerance + ".");
            }
        }
    }
}
