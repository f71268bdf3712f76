package dev.jotune.peft.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The ways of merging whole models, against formulas in double precision. */
@Tag("golden")
class MergeGoldenTest {
    private static final Golden.Case CASE = Golden.cases("peft", "formulas/full_merge").findFirst().orElseThrow();
    private static final JsonNode JSON = Golden.json(CASE.file("case.json"));
    private static final List<String> TENSORS = Golden.children(JSON.get("tensors")).stream().map(JsonNode::asText).toList();
    private static final double TOLERANCE = CASE.json().at("/tolerances/tensors").asDouble();

    private static double[] input(String name) {
        return Golden.array(CASE.file("inputs.safetensors"), name).values();
    }

    private static List<Values> models(String prefix, String tensor) {
        return IntStream.range(0, 3).mapToObj(i -> Values.of(input(prefix + i + "/" + tensor))).toList();
    }

    private static List<Values> vectors(String tensor) {
        Values base = Values.of(input("base/" + tensor));
        return models("model", tensor).stream().map(m -> m.minus(base)).toList();
    }

    private static double[] weights(JsonNode p) {
        return Golden.children(p.get("weights")).stream().mapToDouble(JsonNode::asDouble).toArray();
    }

    private static void check(String name, String tensor, Values got) {
        double[] want = Golden.array(CASE.file("expected.safetensors"), name + "/" + tensor).values();
        double[] values = got.toArray();
        assertThat(values).hasSameSizeAs(want);
        for (int i = 0; i < want.length; i++) {
            assertThat(values[i]).as("%s/%s[%d]", name, tensor, i).isCloseTo(want[i], within(TOLERANCE * Math.max(1, Math.abs(want[i]))));
        }
    }

    private static void checkAll(String name, Function<String, Values> merge) {
        TENSORS.forEach(t -> check(name, t, merge.apply(t)));
    }

    private static JsonNode parameters(String name) {
        return JSON.get("cases").get(name).get("parameters");
    }

    private static Values added(String tensor, double scale, Values tau) {
        return Values.sum(List.of(Values.of(input("base/" + tensor)), tau), 1, scale);
    }

    @Test
    void everyCaseOfTheSetIsOneThatTheTestsKnow() {
        List<String> known = List.of("soup", "linear", "wise_ft_0.25", "wise_ft_0.9", "task_arithmetic", "task_negation", "ties",
                "ties_global", "dare_linear", "dare_ties", "breadcrumbs", "slerp_0.3", "slerp_near", "fisher");
        JSON.get("cases").fieldNames().forEachRemaining(n -> assertThat(known).contains(n));
    }

    @Test
    void averages() {
        checkAll("soup", t -> Soup.uniform(models("model", t)));
        checkAll("linear", t -> Soup.weighted(models("model", t), weights(parameters("linear"))));
        checkAll("fisher", t -> new FisherAverage(parameters("fisher").get("eps").asDouble()).of(models("model", t), models("fisher", t)));
    }

    @Test
    void taskArithmetic() {
        for (String name : List.of("task_arithmetic", "task_negation")) {
            JsonNode p = parameters(name);
            checkAll(name, t -> added(t, p.get("scale").asDouble(), new TaskArithmetic().of(vectors(t), weights(p), 0)));
        }
        for (String name : List.of("wise_ft_0.25", "wise_ft_0.9")) {
            double alpha = parameters(name).get("alpha").asDouble();
            checkAll(name, t -> added(t, alpha, vectors(t).getFirst()));
        }
    }

    @Test
    void tiesTrimsTensorsOrTheWholeModel() {
        JsonNode p = parameters("ties");
        Combination ties = new Ties(p.get("density").asDouble(), Ties.Election.TOTAL, Ties.Form.WEIGHTED);
        checkAll("ties", t -> added(t, p.get("scale").asDouble(), ties.of(vectors(t), weights(p), 0)));

        JsonNode g = parameters("ties_global");
        List<Values> whole = IntStream.range(0, 3).mapToObj(i -> Values.concat(TENSORS.stream().map(t -> vectors(t).get(i)).toList())).toList();
        Values tau = new Ties(g.get("density").asDouble(), Ties.Election.TOTAL, Ties.Form.WEIGHTED).of(whole, weights(g), 0);
        Map<String, Values> parts = new LinkedHashMap<>();
        long at = 0;
        for (String t : TENSORS) {
            long size = vectors(t).getFirst().size();
            parts.put(t, tau.slice(at, size));
            at += size;
        }
        checkAll("ties_global", t -> added(t, g.get("scale").asDouble(), parts.get(t)));
    }

    @Test
    void dareDropsWhatTheMasksSay() {
        List<String> names = new ArrayList<>(TENSORS);
        Dare.Masks masks = (stream, vector, place) -> input("mask" + vector + "/" + names.get((int) stream))[(int) place] != 0;
        JsonNode linear = parameters("dare_linear");
        checkAll("dare_linear", t -> added(t, linear.get("scale").asDouble(), new Dare(linear.get("density").asDouble(),
                new TaskArithmetic(), masks).of(vectors(t), weights(linear), names.indexOf(t))));
        JsonNode ties = parameters("dare_ties");
        checkAll("dare_ties", t -> added(t, ties.get("scale").asDouble(), new Dare(ties.get("density").asDouble(),
                new Ties(1, Ties.Election.TOTAL, Ties.Form.WEIGHTED), masks).of(vectors(t), weights(ties), names.indexOf(t))));
    }

    @Test
    void breadcrumbs() {
        JsonNode p = parameters("breadcrumbs");
        checkAll("breadcrumbs", t -> added(t, p.get("scale").asDouble(), new Breadcrumbs(p.get("density").asDouble(),
                p.get("gamma").asDouble()).of(vectors(t), weights(p), 0)));
    }

    @Test
    void slerpTurnsAndWhereTensorsAreNearlyParallelGoesStraight() {
        checkAll("slerp_0.3", t -> new Slerp(parameters("slerp_0.3").get("t").asDouble(), Slerp.PARALLEL)
                .between(Values.of(input("base/" + t)), Values.of(input("other/" + t))));
        JsonNode near = parameters("slerp_near");
        checkAll("slerp_near", t -> new Slerp(near.get("t").asDouble(), near.get("threshold").asDouble())
                .between(Values.of(input("base/" + t)), Values.of(input("model0/" + t))));
        // Whether a tensor takes the line shows: without the threshold the result is another.
        long straight = TENSORS.stream().filter(t -> !Arrays.equals(
                new Slerp(0.4, near.get("threshold").asDouble()).between(Values.of(input("base/" + t)), Values.of(input("model0/" + t))).toArray(),
                new Slerp(0.4, 1).between(Values.of(input("base/" + t)), Values.of(input("model0/" + t))).toArray())).count();
        assertThat(straight).isBetween(1L, TENSORS.size() - 1L);
    }
}
