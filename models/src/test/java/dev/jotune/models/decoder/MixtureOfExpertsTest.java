package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Experts work only for their tokens, routers tell what they did, and their loss has the derivative that it should. */
@Tag("golden")
class MixtureOfExpertsTest {
    private static final int BATCH = 3;
    private static final int TIME = 7;

    private static Stream<Golden.Case> cases() {
        return Golden.cases("models").filter(c -> c.json().path("model_type").asText().matches("mixtral|qwen2_moe"));
    }

    private static Decoder model(Golden.Case c) {
        return (Decoder) Models.load(c.folder(), Backends.reference(), DType.F64).model();
    }

    private static DecoderInput input(Decoder model) {
        long[] ids = new long[BATCH * TIME];
        boolean[] mask = new boolean[ids.length];
        Arrays.setAll(ids, i -> Philox.nextInt(3, 0, i, model.vocabularySize()));
        for (int i = 0; i < mask.length; i++) {
            mask[i] = i / TIME != 1 || i % TIME < TIME - 2;
        }
        return DecoderInput.of(Tensor.of(model.backend(), ids, BATCH, TIME), Tensor.of(model.backend(), mask, BATCH, TIME));
    }

    /** Counts the rows that a layer is given, and leaves them as they are. */
    private record Counter(Map<String, Long> rows) implements Projection {
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            rows.merge(layer.path(), x.tensor().numel() / layer.in(), Long::sum);
            return inner.apply(x);
        }

        @Override
        public Var weight(Var w) {
            return w;
        }
    }

    @TestFactory
    Stream<DynamicTest> anExpertComputesTheTokensThatAreSentToItAndNoOthers() {
        return cases().map(c -> DynamicTest.dynamicTest(c.id(), () -> {
            Decoder model = model(c);
            ExpertConfig experts = model.config().experts().get();
            Map<String, Long> rows = new TreeMap<>();
            Map<String, Projection> counters = new LinkedHashMap<>();
            model.seams().projections().keySet().stream().filter(p -> p.contains(".experts.")).forEach(p -> counters.put(p, new Counter(rows)));
            assertThat(counters).isNotEmpty();
            DecoderInput all = DecoderInput.of(input(model).ids().get());
            SequencedMap<Integer, RouterStatistics> seen = RouterStatistics.observe(model, all);
            model.seams().attach(new Hooks("counter", counters, Map.of(), Optional.empty(), Map.of(), Map.of()));
            // Rows under different adapters go to experts group by group; together they are the same rows.
            for (List<String> names : List.of(List.of("counter", "counter", "counter"), List.of("counter", "", "counter"))) {
                rows.clear();
                Recording.off(() -> model.forward(all, model.seams().rows(names), Optional.empty()));
                long counted = names.stream().filter(n -> !n.isEmpty()).count();
                for (int layer : seen.keySet()) {
                    String path = "model.layers." + layer + "." + experts.module() + ".experts.";
                    long sum = 0;
                    for (int e = 0; e < experts.count(); e++) {
                        long given = rows.getOrDefault(path + e + "." + experts.names().getFirst(), 0L);
                        sum += given;
                        if (counted == BATCH) {
                            assertThat(given).as(path + e).isEqualTo(seen.get(layer).tokensPerExpert()[e]);
                        }
                    }
                    assertThat(sum).isEqualTo(counted * TIME * experts.perToken());
                }
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> statisticsLeavePaddingOutAndSumUp() {
        return cases().map(c -> DynamicTest.dynamicTest(c.id(), () -> {
            Decoder model = model(c);
            ExpertConfig experts = model.config().experts().get();
            DecoderInput in = input(model);
            SequencedMap<Integer, RouterStatistics> seen = RouterStatistics.observe(model, in);
            assertThat(seen).hasSize((int) experts.sparse().stream().filter(s -> s).count());
            RouterStatistics all = seen.values().stream().reduce(RouterStatistics::plus).get();
            assertThat(all.tokens()).isEqualTo(seen.size() * (BATCH * TIME - 2L));
            assertThat(Arrays.stream(all.tokensPerExpert()).sum()).isEqualTo(all.tokens() * experts.perToken());
            assertThat(Arrays.stream(all.meanProbabilities()).sum()).isCloseTo(1, within(1e-9));
            assertThat(Arrays.stream(all.shares()).sum()).isCloseTo(experts.perToken(), within(1e-9));
            assertThat(model.seams().taps()).containsKeys(seen.keySet().stream().map(RouterStatistics::tap).toArray(String[]::new));
            assertThat(model.seams().attached()).isEmpty();
        }));
    }

    @TestFactory
    Stream<DynamicTest> theRouterLossHasItsDerivativeWithAndWithoutCheckpointing() {
        return cases().map(c -> DynamicTest.dynamicTest(c.id(), () -> {
            Decoder model = model(c).withRouterLoss(true);
            DecoderInput in = input(model);
            List<Var> routers = new ArrayList<>();
            for (Parameter p : model.seams().parameters().values()) {
                if (p.path().endsWith(".gate.weight")) {
                    p.replace(Var.parameter(p.base().tensor().to(DType.F64)));
                    routers.add(p.base());
                }
            }
            List<Tensor> plain = Gradients.of(loss(model, in), routers);
            model.setCheckpointing(true);
            List<Tensor> again = Gradients.of(loss(model, in), routers);
            double slope = 0;
            double scale = 0;
            for (int i = 0; i < routers.size(); i++) {
                double[] g = plain.get(i).toDoubleArray();
                assertThat(again.get(i).toDoubleArray()).isEqualTo(g);
                for (int k = 0; k < g.length; k++) {
                    slope += g[k] * Philox.normal(5, i, k);
                    scale += Math.abs(g[k] * Philox.normal(5, i, k));
                }
            }
            double quotient = (moved(model, in, routers, 1e-6) - moved(model, in, routers, -1e-6)) / 2e-6;
            assertThat(slope).isCloseTo(quotient, within(1e-6 * scale));
            double with = loss(model, in).item();
            double without = loss(model.withRouterLoss(false), in).item();
            RouterStatistics all = RouterStatistics.observe(model, in).values().stream().reduce(RouterStatistics::plus).get();
            double coefficient = model.config().experts().get().lossCoefficient();
            assertThat(with - without).isCloseTo(coefficient * all.loadBalancingLoss(), within(1e-12));
        }));
    }

    private static Var loss(Decoder model, DecoderInput in) {
        return model.loss(in, in.ids().get(), model.seams().inference());
    }

    private static double moved(Decoder model, DecoderInput in, List<Var> routers, double step) {
        List<double[]> before = routers.stream().map(v -> v.tensor().toDoubleArray()).toList();
        for (int i = 0; i < routers.size(); i++) {
            double[] there = before.get(i).clone();
            int stream = i;
            Arrays.setAll(there, k -> there[k] + step * Philox.normal(5, stream, k));
            routers.get(i).tensor().copyFrom(Tensor.of(model.backend(), DType.F64, there, routers.get(i).shape()));
        }
        double loss = Recording.off(() -> loss(model, in)).item();
        for (int i = 0; i < routers.size(); i++) {
            routers.get(i).tensor().copyFrom(Tensor.of(model.backend(), DType.F64, before.get(i), routers.get(i).shape()));
        }
        return loss;
    }

    @Test
    void aModelWithoutExpertsHasNoRouterStatistics() {
        Golden.Case llama = Golden.cases("models").filter(c -> c.json().path("model_type").asText().equals("llama")).findFirst().get();
        Decoder model = model(llama);
        assertThatThrownBy(() -> RouterStatistics.observe(model, input(model))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("llama");
        assertThatThrownBy(() -> model.withRouterLoss(true)).hasMessageContaining("llama");
    }
}
