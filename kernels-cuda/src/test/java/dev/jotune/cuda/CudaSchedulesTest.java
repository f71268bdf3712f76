package dev.jotune.cuda;

import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.testing.KernelConformance;
import dev.jotune.testing.conformance.BackendConformance;
import dev.jotune.testing.conformance.Case;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Kernels for every device do the same in whatever order their items run: a sample of the conformance suite under other schedules. */
class CudaSchedulesTest {
    /** The suite itself runs forwards; a missing barrier shows where others go first or one warp goes far ahead. */
    private static final List<String> SCHEDULES = List.of("schedule=reverse async=eager", "schedule=greedy async=eager",
            "schedule=greedy-reverse async=lazy", "schedule=random async=random seed=5");
    private static final int SAMPLE = 40;

    @TestFactory
    Stream<DynamicTest> orderDoesNotMatter() {
        assumeFalse(FakeCuda.isReal(), "a device has its own order");
        CudaDevices.info();
        List<DynamicTest> tests = new ArrayList<>();
        for (int i = 0; i < SCHEDULES.size(); i++) {
            String schedule = SCHEDULES.get(i);
            // Each schedule takes other cases, the same in every run.
            Random random = new Random(i);
            for (List<Case> cases : List.of(BackendConformance.cases(), KernelConformance.cases())) {
                random.ints(SAMPLE, 0, cases.size()).distinct().mapToObj(cases::get).forEach(c ->
                        tests.add(DynamicTest.dynamicTest(c.name() + ", " + schedule, () -> run(c, schedule))));
            }
        }
        return tests.stream();
    }

    private static void run(Case c, String schedule) {
        FakeCuda.configure(schedule);
        try {
            c.run(CudaDevices.shared());
        } finally {
            FakeCuda.configure("schedule=forward async=lazy seed=1");
        }
    }
}
