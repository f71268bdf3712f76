package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Faults planted in kernels that are right: each is said by name, or makes numbers wrong under some schedule. That the same kernels without
 * faults pass every schedule is what EmulatedProductsTest shows.
 */
class EmulatedFaultsTest {
    private static final float[] MMA = EmulatedTexts.mmaProduct();
    private static final float[] WGMMA = EmulatedTexts.wgmmaProduct();
    private static final float[][] CLUSTER = EmulatedTexts.cluster("", EmulatedTexts.whole());
    private static final String EAGER_AND_GREEDY = "schedule=greedy async=eager";

    /** A kernel, a place in its text, what stands there instead, and what is said; "" where only the numbers are wrong. */
    enum Fault {
        NO_BARRIER_BEFORE_USE(Kernel.MMA, "BARRIER(); /* before use */", "", ""),
        NO_BARRIER_AFTER_USE(Kernel.MMA, "BARRIER(); /* before the next copies */", "", ""),
        WAITS_FOR_TOO_FEW_COPIES(Kernel.MMA, "CP_ASYNC_WAIT(1)", "CP_ASYNC_WAIT(2)", ""),
        STORES_BEHIND_THE_END(Kernel.MMA, "c[m * columns", "c[1 + m * columns", "behind the end of 32768 bytes"),
        STORES_BEFORE_THE_BEGINNING(Kernel.MMA, "c[m * columns", "c[m * columns - 1", "before the beginning of 32768 bytes"),
        STORES_FAR_AWAY(Kernel.MMA, "c[m * columns", "c[(1ll << 40) + m * columns", "where there is no memory"),
        BARRIER_IN_TWO_BRANCHES(Kernel.MMA, "BARRIER(); /* before use */", "if (LID < 64) {\nBARRIER();\n} else {\nBARRIER();\n}",
                "a barrier that not all items reach"),
        BARRIER_IN_ONE_BRANCH(Kernel.MMA, "BARRIER(); /* before use */", "if (LID < 64) {\nBARRIER();\n}", ""),
        LEAVES_EARLY(Kernel.MMA, "BARRIER(); /* before use */", "if (LID == 77) {\nreturn;\n}\nBARRIER();", "nobody can go on"),
        PART_OF_A_WARP(Kernel.MMA, "mma_bf16(d[i][j]", "if (lane < 31) mma_bf16(d[i][j]", "a warp takes two ways"),
        MISALIGNED_COPY(Kernel.MMA, "#define ROW 40", "#define ROW 36", "multiples of 16"),
        DESCRIPTOR_STEPS_TOO_FAR(Kernel.WGMMA, "x + 2 * k", "x + 4 * k", ""),
        DESCRIPTOR_WITHOUT_STEP(Kernel.WGMMA, "y + 2 * k", "y", ""),
        EXPECTS_TOO_MANY_BYTES(Kernel.WGMMA, "full + s, STAGE)", "full + s, STAGE + 1024)", "for the mbarrier"),
        EXPECTS_TOO_FEW_BYTES(Kernel.WGMMA, "full + s, STAGE)", "full + s, STAGE - 1024)", "1024 bytes more than expected"),
        NO_WAIT_FOR_AN_EMPTY_SLOT(Kernel.WGMMA, "mbar_wait(empty + s, t / STAGES % 2 ^ 1);", "", ""),
        NO_WAIT_FOR_A_FULL_SLOT(Kernel.WGMMA, "mbar_wait(full + s, t / STAGES % 2);", "", ""),
        SLOT_NOT_GIVEN_BACK(Kernel.WGMMA, "mbar_arrive(empty + s);", "", "nobody can go on"),
        SLOT_GIVEN_BACK_TWICE(Kernel.WGMMA, "mbar_arrive(empty + s);", "mbar_arrive(empty + s);\nmbar_arrive(empty + s);", ""),
        NO_WAIT_FOR_PRODUCTS(Kernel.WGMMA, "WGMMA_WAIT(0);", "WGMMA_WAIT(1);", "no WGMMA_WAIT(0)"),
        NO_COMMIT_OF_PRODUCTS(Kernel.WGMMA, "wgmma_commit();", "", "no WGMMA_WAIT(0)"),
        NO_FENCE_OF_REGISTERS(Kernel.WGMMA, "wgmma_fence();", "", "a wgmma without wgmma_fence"),
        NO_FENCE_OF_BARRIERS(Kernel.WGMMA, "fence_barrier_init();", "", "before fence_barrier_init"),
        BARRIER_NOT_INITIALISED(Kernel.WGMMA, "mbar_init(empty + s, 256);", "", "was not initialised"),
        PARITY_OF_THE_PHASE_BEFORE(Kernel.WGMMA, "full + s, t / STAGES % 2)", "full + s, t / STAGES % 2 ^ 1)", ""),
        BOX_AT_A_WRONG_PLACE(Kernel.WGMMA, "s * STAGE + 128 * 128, &b_map", "s * STAGE + 127 * 128, &b_map", "wants multiples of 1024"),
        SHARED_MEMORY_TOO_SMALL(Kernel.WGMMA, "#define STAGES 3", "#define STAGES 4", "outside of this group's shared memory"),
        TOO_MANY_REGISTERS(Kernel.WGMMA, "SETMAXNREG_INC(232)", "SETMAXNREG_INC(240)", "ask for 66560 registers together"),
        NO_WAIT_FOR_STORES(Kernel.CLUSTER, "TMA_STORE_WAIT(0);", "", "no TMA_STORE_WAIT(0)"),
        NO_FENCE_BEFORE_A_STORE(Kernel.CLUSTER, "fence_proxy_async();", "", "without any fence_proxy_async"),
        NO_BARRIER_OF_THE_CLUSTER(Kernel.CLUSTER, "CLUSTER_SYNC(); /* barriers are there */", "BARRIER();", "was not initialised"),
        LEAVES_THE_CLUSTER_EARLY(Kernel.CLUSTER, "mbar_wait(bars + 1, 0);", "", "has left");

        private final Kernel kernel;
        private final String place;
        private final String instead;
        private final String said;

        Fault(Kernel kernel, String place, String instead, String said) {
            this.kernel = kernel;
            this.place = place;
            this.instead = instead;
            this.said = said;
        }
    }

    private enum Kernel {
        MMA((s, c) -> Arrays.equals(EmulatedTexts.mma(s, c), EmulatedFaultsTest.MMA)),
        WGMMA((s, c) -> Arrays.equals(EmulatedTexts.wgmma(s, c), EmulatedFaultsTest.WGMMA)),
        CLUSTER((s, c) -> Arrays.deepEquals(EmulatedTexts.cluster(s, c), EmulatedFaultsTest.CLUSTER));

        /** Whether a schedule and a change leave the result right. */
        private final BiFunction<String, UnaryOperator<String>, Boolean> right;

        Kernel(BiFunction<String, UnaryOperator<String>, Boolean> right) {
            this.right = right;
        }
    }

    @ParameterizedTest
    @EnumSource(Fault.class)
    void everyFaultIsSeen(Fault fault) {
        List<String> seen = new ArrayList<>();
        for (String schedule : EmulatedTexts.SCHEDULES) {
            try {
                if (!fault.kernel.right.apply(schedule, EmulatedTexts.with(fault.place, fault.instead))) {
                    seen.add(schedule + ": wrong numbers");
                }
            } catch (Emulator.Failure e) {
                seen.add(schedule + ": " + e.getMessage());
            }
        }
        assertThat(seen).as("schedules that see it").isNotEmpty().anyMatch(s -> s.contains(fault.said));
        if (fault == Fault.NO_BARRIER_AFTER_USE) {
            // The next copies overwrite what a slower warp still reads: only where copies are early and warps far apart.
            assertThat(seen).anyMatch(s -> s.startsWith(EAGER_AND_GREEDY)).noneMatch(s -> s.contains("async=lazy"));
        }
    }
}
