package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.cuda.CudaGroupedLowRank.Form;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Factors;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Plan;
import dev.jotune.testing.conformance.GroupedCases;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows with adapters of their own, by rows and by runs: the same numbers in F64, under every schedule; and planted faults. */
class CudaGroupedLowRankTest extends OwnDevice {
    private static final List<String> SCHEDULES = List.of("schedule=forward", "schedule=reverse", "schedule=greedy", "schedule=greedy-reverse",
            "schedule=random seed=7");
    private static final int ROWS = 45;
    private static final int IN = 264;
    private static final int OUT = 36;

    private static Tensor normal(CudaBackend d, long stream, long... shape) {
        Tensor t = Tensor.empty(d, DType.F32, shape);
        d.normal(t, 5, stream);
        return t;
    }

    /** Every size of the conformance suite, whose rows are mostly too few for runs by themselves. */
    @Test
    void runsHaveTheNumbersThatRowsHave() {
        GroupedCases.check(device, new CudaGroupedLowRank(device, Form.RUNS), DType.F32);
    }

    @Test
    void manyRowsOfEachAdapterAreTakenByRuns() {
        assumeFalse(FakeCuda.isReal());
        int rows = 2 * device.units() + 1;
        Tensor x = normal(device, 1, rows, 8);
        Tensor y = normal(device, 2, rows, 8);
        List<Factors> two = List.of(factors(device, 4, 8, 8), factors(device, 3, 8, 8));
        GroupedLowRankKernel kernel = device.kernel(GroupedLowRankKernel.class).orElseThrow();
        int[] of = new int[rows];
        FakeCuda.forget();
        kernel.add(kernel.plan(two, of), x, Optional.empty(), Optional.of(y));
        kernel.add(kernel.plan(two, new int[] {0, 1}), x.slice(0, 0, 2), Optional.empty(), Optional.of(y.slice(0, 0, 2)));
        assertThat(FakeCuda.launches().stream().map(l -> l.split(" ")[0])).containsExactly("grouped_lora_runs", "grouped_lora");
    }

    private static Factors factors(CudaBackend d, long rank, long in, long out) {
        return new Factors(normal(d, 10 + rank, rank, in), normal(d, 40 + rank, out, rank), rank / 10.0);
    }

    /** Everything that a batch of three adapters gives, one after another. */
    private static double[] all(CudaBackend d, boolean runs) {
        CudaGroupedLowRank kernel = new CudaGroupedLowRank(d, runs ? Form.RUNS : Form.ROWS);
        int[] rows = new int[ROWS];
        for (int i = 0; i < ROWS; i++) {
            rows[i] = i % 7 == 3 ? -1 : i * 5 % 3;
        }
        Tensor x = normal(d, 1, ROWS, IN);
        Tensor y = normal(d, 2, ROWS, OUT);
        Plan plan = kernel.plan(List.of(factors(d, 16, IN, OUT), factors(d, 20, IN, OUT), factors(d, 4, IN, OUT)), rows);
        Tensor scores = GroupedLowRankKernel.scores(d, ROWS, plan.rank());
        d.fill(scores, 0);
        kernel.add(plan, x, Optional.of(scores), Optional.of(y));
        Stream<Tensor> results = Stream.concat(Stream.of(y, scores), kernel.gradients(plan, x, y, scores, scores).stream());
        return results.flatMapToDouble(t -> Arrays.stream(t.toDoubleArray())).toArray();
    }

    @Test
    void noScheduleChangesABit() {
        assumeFalse(FakeCuda.isReal());
        for (boolean runs : new boolean[] {false, true}) {
            double[] first = all(device, runs);
            assertThat(first).doesNotContain(Double.NaN);
            for (String schedule : SCHEDULES) {
                configure(schedule);
                assertThat(all(device, runs)).as(schedule).isEqualTo(first);
            }
        }
    }

    /** A fault that is planted in a text. */
    private record Fault(String what, String from, String to, boolean runs) {}

    static Stream<Fault> faults() {
        return Stream.of(
                new Fault("no barrier before scores are read", "        BARRIER();\n    }\n    for (int n", "    }\n    for (int n", false),
                new Fault("no barrier before parts are read", "        BARRIER();\n        if (LID < teams", "        if (LID < teams", false),
                new Fault("halves summed before both are there", "        BARRIER();\n        int m = LID", "        int m = LID", true),
                new Fault("parts of the next ranks over these", "        BARRIER();\n    }\n    for (int n", "    }\n    for (int n", true),
                new Fault("rows beyond a run's end written", "            if (m < count) {\n                i64 at",
                        "            if (1) {\n                i64 at", true),
                new Fault("another adapter's scale", "* SCALE(g)", "* SCALE(0)", true),
                new Fault("warps' sums read before they are there", "    BARRIER();\n    if (n < width)", "    if (n < width)", true),
                new Fault("rows of the adapter before", "+ of[1]", "", true),
                new Fault("every warp the same rows", "i = LID / 32; i < count", "i = 0; i < count", true));
    }

    @ParameterizedTest
    @MethodSource("faults")
    void plantedFaultsAreSeen(Fault fault) {
        assumeFalse(FakeCuda.isReal());
        double[] right = all(device, fault.runs);
        boolean[] planted = new boolean[1];
        CudaBackend wrong = device(text -> {
            String edited = text.replace(fault.from, fault.to);
            planted[0] |= !edited.equals(text);
            return edited;
        });
        boolean seen = false;
        for (String schedule : SCHEDULES) {
            configure(schedule);
            try {
                double[] got = all(wrong, fault.runs);
                for (int i = 0; i < got.length && !seen; i++) {
                    seen = !(Math.abs(got[i] - right[i]) < 1e-3);
                }
            } catch (RuntimeException e) {
                seen = true;
            }
        }
        assertThat(planted[0]).as("planted").isTrue();
        assertThat(seen).as(fault.what).isTrue();
    }
}
