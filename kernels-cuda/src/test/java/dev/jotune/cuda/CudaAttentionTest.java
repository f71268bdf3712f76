package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.cuda.AttentionSetup.Keys;
import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.AttentionKernel;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Attention in 16-bit numbers against its definition in F64: tiles of every kind, parts of tiles, and every order of execution. */
class CudaAttentionTest {
    /** A text behind a shared prefix, longer than a tile of queries and than several of keys, the last of each in part. */
    private static final AttentionSetup TEXT = setup("text behind a prefix", 2, 4, 2, 150, 64, 64, Keys.prefix(5), Keys.causal(150, 0));
    /** One query each of a batch: the shared prompt is read by all together, the rest by each. */
    private static final AttentionSetup DECODE = setup("decoding with a shared prompt", 5, 8, 2, 1, 64, 64, Keys.prefix(300),
            Keys.causal(70, 69));
    /** As many tiles of keys and of queries as a ring has places and more, on the diagonal and before it. */
    private static final AttentionSetup SMALL = setup("small", 1, 1, 1, 150, 32, 32, Keys.causal(200, 50));
    /** More tiles of keys than twice the places of the ring, of two segments. */
    private static final AttentionSetup LONG = setup("long text", 1, 1, 1, 140, 64, 64, Keys.own(70), Keys.causal(500, 360));
    /** More tiles than places of the ring for both gradients: a shared prefix's queries are those of two heads and two rows of the batch. */
    private static final AttentionSetup MANY = setup("many tiles", 2, 2, 1, 140, 64, 64, Keys.prefix(300), Keys.causal(140, 0));
    private static final AttentionSetup HIDDEN = setup("many tiles with hidden keys", 2, 2, 1, 140, 64, 64, Keys.prefix(300).hidden(),
            Keys.causal(140, 0).hidden());
    private static final String USUAL = "schedule=forward async=lazy";
    private static final List<String> ORDERS = List.of("schedule=forward async=eager",
            "schedule=reverse async=lazy", "schedule=reverse async=eager",
            "schedule=greedy async=eager", "schedule=greedy async=lazy", "schedule=greedy-reverse async=eager",
            "schedule=random async=random seed=3");

    private static AttentionSetup setup(String name, long b, long h, long g, long t, long d, long dv, Keys... segments) {
        return new AttentionSetup(name, DType.BF16, DType.F32, b, h, g, t, d, dv, 0, false, List.of(segments));
    }

    private static AttentionSetup capped(long t, long d, long dv, Keys... segments) {
        return new AttentionSetup("capped window", DType.F16, DType.F16, 1, 2, 2, t, d, dv, 2, true, List.of(segments));
    }

    private static List<AttentionSetup> setups() {
        return List.of(TEXT, DECODE, capped(37, 40, 24, Keys.causal(90, 53).window(20)),
                setup("heads of 128", 1, 2, 1, 131, 128, 128, Keys.own(3), Keys.causal(131, 0)).narrow(),
                setup("decoding with heads of 128", 1, 4, 1, 1, 128, 128, Keys.causal(600, 599)),
                setup("heads of 96", 1, 1, 1, 40, 96, 90, Keys.causal(33, -3)),
                setup("heads of 192", 1, 1, 1, 20, 192, 160, Keys.causal(70, 50)),
                setup("heads of 256", 2, 1, 1, 18, 256, 256, Keys.prefix(40), Keys.causal(18, 0)),
                setup("odd heads", 2, 6, 3, 9, 7, 9, Keys.causal(9, 0)),
                setup("many segments, one of them empty", 2, 4, 2, 9, 8, 8, Keys.prefix(17), Keys.own(0), Keys.own(3), Keys.causal(9, 0)),
                setup("queries that see nothing", 2, 2, 1, 9, 8, 8, Keys.causal(9, -3), Keys.causal(4, -6)),
                setup("hidden keys", 2, 2, 1, 40, 32, 32, Keys.prefix(5), Keys.causal(40, 0).hidden()),
                setup("hidden keys of a shared prompt", 3, 4, 1, 1, 16, 16, Keys.prefix(260).hidden(), Keys.own(9)),
                setup("nothing to see", 2, 2, 1, 3, 8, 8, Keys.own(0)),
                setup("window without causality", 1, 2, 1, 70, 16, 16, new Keys(false, 137, false, 67, 40, false)));
    }

    /** What warp groups compute. */
    private static List<AttentionSetup> groupSetups() {
        return List.of(TEXT, LONG, setup("heads of 128", 1, 1, 1, 200, 128, 128, Keys.prefix(70), Keys.causal(300, 100)).narrow(),
                capped(130, 40, 24, Keys.causal(300, 170).window(60)), capped(128, 72, 128, Keys.own(129)),
                setup("hidden keys", 2, 4, 2, 130, 64, 64, Keys.prefix(5), Keys.causal(130, 0).hidden()),
                setup("hidden keys of a shared segment", 2, 2, 1, 130, 128, 128, Keys.prefix(270).hidden()).narrow(),
                setup("heads of 256", 1, 1, 1, 130, 256, 256, Keys.own(70), Keys.causal(130, 0)),
                setup("heads of 192 with hidden keys", 1, 1, 1, 130, 192, 160, Keys.causal(150, 20).hidden()).narrow(),
                setup("heads of 96 that share keys", 3, 4, 2, 130, 96, 96, Keys.prefix(130), Keys.own(9)),
                setup("many segments, one of them empty", 2, 2, 1, 128, 8, 16, Keys.prefix(17), Keys.own(0), Keys.own(3), Keys.causal(128, 0)),
                setup("window without causality", 1, 2, 1, 150, 16, 16, new Keys(false, 137, false, 67, 40, false)),
                setup("queries that see nothing", 1, 2, 1, 130, 64, 64, Keys.causal(100, -40)));
    }

    /** What goes wrong in such kernels, each put into a text in place of what is right. */
    private enum Fault implements UnaryOperator<String> {
        FORWARD_WAITS_FOR_ONE_TILE_LESS("attention_mma", "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
        FORWARD_MEETS_NOWHERE("attention_mma", "            BARRIER();\n        }\n        if (next", "        }\n        if (next"),
        FORWARD_LEAVES_THE_DIAGONAL_BARE("attention_mma", "t_first + OF(ahead) + 1);", "t_last + OF(ahead) + 1);"),
        FORWARD_FORGETS_TO_RESCALE("attention_mma", "        rescale(result, shrink);\n        acc", "        acc"),
        QUERY_WAITS_FOR_ONE_TILE_LESS("attention_mma_query", "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
        QUERY_MEETS_NOWHERE("attention_mma_query", "            BARRIER();\n        }\n        if (next", "        }\n        if (next"),
        QUERY_LEAVES_THE_DIAGONAL_BARE("attention_mma_query", "t0 + OF(ahead) + 1);", "t_last + OF(ahead) + 1);"),
        KEYS_WAIT_FOR_ONE_TILE_LESS("attention_mma_keys", "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
        KEYS_MEET_NOWHERE("attention_mma_keys", "            BARRIER();\n        }\n        if (next", "        }\n        if (next"),
        KEYS_LEAVE_THE_DIAGONAL_BARE("attention_mma_keys", "k_last <= t0 + ahead", "k0 <= t0 + BN - 1 + ahead"),
        PLAIN_MEETS_ONCE_A_TILE("attention_mma_plain", "value_width); \\\n        BARRIER(); \\\n", "value_width); \\\n"),
        PLAIN_MASKS_NOTHING("attention_mma_plain", "SEEN(k, t, ahead##i, behind##i) && ", ""),
        GROUPS_EXPECT_TOO_FEW_BYTES("attention_wgmma", "mbar_expect_tx(keys_full + s, TILE_BYTES);",
                "mbar_expect_tx(keys_full + s, TILE_BYTES / 2);"),
        GROUPS_OVERWRITE_KEYS("attention_wgmma", "                mbar_wait(keys_empty + s, parity);\n", ""),
        GROUPS_RELEASE_VALUES_EARLY("attention_wgmma", "                mbar_wait(values_empty + s, parity);\n", ""),
        GROUPS_STEP_WRONGLY_THROUGH_VALUES("attention_wgmma", "passing + i * 2048", "passing + i * 1024"),
        GROUPS_TAKE_SCORES_EARLY("attention_wgmma", "                WGMMA_WAIT(1);", "                WGMMA_WAIT(2);"),
        GROUPS_LEAVE_THE_DIAGONAL_BARE("attention_wgmma", "t_team + OF(ahead) + 1));", "t_team + 64 + OF(ahead)));"),
        QUERY_GROUPS_EXPECT_TOO_FEW_BYTES("attention_wgmma_query", "mbar_expect_tx(&own_full, 2 *", "mbar_expect_tx(&own_full,"),
        QUERY_GROUPS_DO_NOT_WAIT_FOR_VALUES("attention_wgmma_query", "                mbar_wait(values_full + s, parity);\n", ""),
        QUERY_GROUPS_OVERWRITE_KEYS("attention_wgmma_query",
                "                mbar_wait(empty + s, j / STAGES % 2 ^ 1);\n                mbar_expect", "                mbar_expect"),
        QUERY_GROUPS_RELEASE_KEYS_EARLY("attention_wgmma_query", "LANE == 0 && j > 0) {\n                    mbar_arrive(empty + (j - 1) % STAGES);",
                "LANE == 0) {\n                    mbar_arrive(empty + s);"),
        QUERY_GROUPS_TAKE_SCORES_EARLY("attention_wgmma_query", "                WGMMA_WAIT(1);", "                WGMMA_WAIT(2);"),
        QUERY_GROUPS_STEP_WRONGLY_THROUGH_KEYS("attention_wgmma_query", "passing + i * 2048", "passing + i * 4096"),
        QUERY_GROUPS_LEAVE_THE_DIAGONAL_BARE("attention_wgmma_query", "t_team + OF(ahead) + 1)) {", "t_team + 64 + OF(ahead))) {"),
        KEYS_GROUPS_PLAN_WITHOUT_A_BARRIER("attention_wgmma_keys", "    BARRIER();\n    int count", "    int count"),
        KEYS_GROUPS_OVERWRITE_SUMS("attention_wgmma_keys",
                "int s = j % STAGES;\n                mbar_wait(empty + s, j / STAGES % 2 ^ 1);\n                UNROLL",
                "int s = j % STAGES;\n                UNROLL"),
        KEYS_GROUPS_OVERWRITE_QUERIES("attention_wgmma_keys",
                "                mbar_wait(empty + s, j / STAGES % 2 ^ 1);\n                mbar_expect", "                mbar_expect"),
        KEYS_GROUPS_RELEASE_QUERIES_EARLY("attention_wgmma_keys",
                "LANE == 0 && j > 0) {\n                        mbar_arrive(empty + (s > 0 ? s : STAGES) - 1);",
                "LANE == 0) {\n                        mbar_arrive(empty + s);"),
        KEYS_GROUPS_TAKE_UPS_EARLY("attention_wgmma_keys", "up_ring + s * TILE_BYTES);\n                    WGMMA_WAIT(1);",
                "up_ring + s * TILE_BYTES);\n                    WGMMA_WAIT(2);"),
        KEYS_GROUPS_STEP_WRONGLY_THROUGH_FEATURES("attention_wgmma_keys", "i % 4 * 32, 16, 1024, 128), i > 0", "i % 4 * 64, 16, 1024, 128), i > 0"),
        KEYS_GROUPS_LEAVE_THE_DIAGONAL_BARE("attention_wgmma_keys", "k_last > t0 + ahead", "k_team > t0 + BN - 1 + ahead"),
        GROUPS_DO_NOT_WAIT_FOR_MASKS("attention_wgmma", "mbar_wait(seen_full + (tile) % STAGES, (tile) / STAGES % 2);", ""),
        QUERY_GROUPS_OVERWRITE_MASKS("attention_wgmma_query", "mbar_wait(empty + s, j / STAGES % 2 ^ 1);\n                fetch_seen", "fetch_seen"),
        KEYS_GROUPS_OVERWRITE_MASKS("attention_wgmma_keys", "mbar_wait(empty + s, j / STAGES % 2 ^ 1);\n                fetch_seen", "fetch_seen");

        private final String kernel;
        private final String right;
        private final String wrong;

        Fault(String kernel, String right, String wrong) {
            this.kernel = kernel;
            this.right = right;
            this.wrong = wrong;
        }

        @Override
        public String apply(String text) {
            if (!text.contains("KERNEL_HEAD " + kernel + "(")) {
                return text;
            }
            assertThat(text).contains(right);
            return text.replace(right, wrong);
        }

        AttentionSetup shown() {
            return name().endsWith("MASKS") ? HIDDEN : ofGroups() ? MANY : SMALL;
        }

        AttentionRung rung() {
            return ofGroups() ? AttentionRung.GROUPS : kernel.endsWith("plain") ? AttentionRung.PLAIN : AttentionRung.WARPS;
        }

        boolean ofGroups() {
            return kernel.startsWith("attention_wgmma");
        }
    }

    @TempDir
    Path cache;

    @AfterEach
    void asUsual() {
        if (!FakeCuda.isReal()) {
            FakeCuda.configure(USUAL);
        }
    }

    /** On a device of so many units: of few, a group goes over more. */
    private static List<String> of(AttentionRung rung, CudaBackend device, AttentionSetup setup, int units, boolean gradients) {
        assumeFalse(rung == AttentionRung.GROUPS && device.chip() != 90, "warp groups multiply on compute capability 9.0 alone");
        AttentionKernel own = device.kernel(AttentionKernel.class).orElseThrow();
        return setup.problems(device, new CudaAttention(device, units, rung, device::launch, own), gradients);
    }

    private static List<String> ofWarps(CudaBackend device, AttentionSetup setup, boolean gradients) {
        return of(AttentionRung.WARPS, device, setup, device.info().units(), gradients);
    }

    private static List<String> ofGroups(CudaBackend device, AttentionSetup setup, int units) {
        return of(AttentionRung.GROUPS, device, setup, units, true);
    }

    private static Stream<DynamicTest> all(List<AttentionSetup> setups, Function<AttentionSetup, List<String>> problems) {
        CudaDevices.info();
        return setups.stream().map(s -> DynamicTest.dynamicTest(s.toString(), () -> assertThat(problems.apply(s)).isEmpty()));
    }

    @TestFactory
    Stream<DynamicTest> plainly() {
        return all(setups(), s -> of(AttentionRung.PLAIN, CudaDevices.shared(), s, 1, false));
    }

    @TestFactory
    Stream<DynamicTest> warps() {
        return all(setups(), s -> ofWarps(CudaDevices.shared(), s, true));
    }

    @TestFactory
    Stream<DynamicTest> warpGroups() {
        return all(groupSetups(), s -> ofGroups(CudaDevices.shared(), s, CudaDevices.info().units()));
    }

    @TestFactory
    Stream<DynamicTest> inAnyOrder() {
        CudaDevices.info();
        assumeFalse(FakeCuda.isReal(), "a device has its own order");
        return ORDERS.stream().map(order -> DynamicTest.dynamicTest(order, () -> {
            FakeCuda.configure(order);
            CudaBackend device = CudaDevices.shared();
            assertThat(of(AttentionRung.PLAIN, device, SMALL, 1, false)).isEmpty();
            assertThat(ofWarps(device, SMALL, true)).isEmpty();
            assertThat(ofWarps(device, DECODE, false)).isEmpty();
            assertThat(ofGroups(device, LONG, 1)).isEmpty();
            assertThat(ofGroups(device, MANY, 1)).isEmpty();
        }));
    }

    @ParameterizedTest
    @EnumSource
    void faultsAreNoticed(Fault fault) {
        CudaBackend device = CudaDevices.fresh(cache, fault);
        assumeFalse(FakeCuda.isReal(), "a device may survive them");
        assertThat(ORDERS).anyMatch(order -> {
            FakeCuda.configure(order);
            FakeCuda.forget();
            try {
                return !of(fault.rung(), device, fault.shown(), 1, true).isEmpty();
            } catch (CudaException e) {
                return !FakeCuda.problem().isEmpty();
            }
        });
    }

    @Test
    void longTextsGoToWarpGroupsWhereTheyAre() {
        CudaBackend device = CudaDevices.shared();
        assumeFalse(FakeCuda.isReal(), "a device does not say what ran");
        FakeCuda.forget();
        assertThat(TEXT.problems(device, device.kernel(AttentionKernel.class).orElseThrow(), true)).isEmpty();
        assertThat(FakeCuda.launches()).filteredOn(launch -> launch.startsWith("attention_")).hasSize(4).allMatch(launch -> launch.contains("wgmma"));
    }

    @Test
    void oneGroupSumsASharedPrefixOverTheBatch() {
        CudaBackend device = CudaDevices.shared();
        assumeFalse(FakeCuda.isReal(), "a device does not say what ran");
        FakeCuda.forget();
        assertThat(ofGroups(device, MANY, 1)).isEmpty();
        List<String> one = FakeCuda.launches();
        assertThat(one).filteredOn(launch -> launch.startsWith("attention_wgmma")).hasSize(4);
        FakeCuda.forget();
        assertThat(ofGroups(device, MANY, 132)).isEmpty();
        assertThat(FakeCuda.launches()).as("parts of several groups are added").hasSize(one.size() + 2);
    }

    @Test
    void aRungOfTheLadderOfProductsIsOneOfAttentionToo() {
        assertThat(AttentionRung.of(Way.PORTABLE, 90)).isEqualTo(AttentionRung.PORTABLE);
        assertThat(AttentionRung.of(Way.PLAIN, 90)).isEqualTo(AttentionRung.PLAIN);
        assertThat(AttentionRung.of(Way.MMA_LARGE, 90)).isEqualTo(AttentionRung.WARPS);
        assertThat(AttentionRung.of(Way.WGMMA_256, 90)).isEqualTo(AttentionRung.GROUPS);
        assertThat(AttentionRung.of(Way.AUTO, 90)).isEqualTo(AttentionRung.GROUPS);
        assertThat(AttentionRung.of(Way.AUTO, 89)).as("not on a chip without warp groups").isEqualTo(AttentionRung.WARPS);
    }

    private CudaBackend withRung(String rung) {
        System.setProperty(CudaProducts.PROPERTY, rung);
        try {
            return CudaDevices.fresh(cache, UnaryOperator.identity());
        } finally {
            System.clearProperty(CudaProducts.PROPERTY);
        }
    }

    @Test
    void thePortableRungLeavesHalvesToTheDefinition() {
        CudaBackend device = withRung("portable");
        assertThat(SMALL.problems(device, device.kernel(AttentionKernel.class).orElseThrow(), false)).singleElement().asString()
                .endsWith("is not supported");
    }

    @ParameterizedTest
    @CsvSource({"plain, attention_mma_plain", "mma-large, attention_mma", "wgmma-256, attention_wgmma"})
    void theSettingChoosesTheRung(String rung, String kernel) {
        CudaBackend device = withRung(rung);
        assumeFalse(FakeCuda.isReal(), "a device does not say what ran");
        FakeCuda.forget();
        assertThat(SMALL.problems(device, device.kernel(AttentionKernel.class).orElseThrow(), false)).isEmpty();
        assertThat(FakeCuda.launches()).anyMatch(launch -> launch.startsWith(kernel + " "));
    }

    @Test
    void whatIsNotRoundedKeepsTheAccuracyOfF32() {
        AttentionSetup exact = new AttentionSetup("in F32", DType.F32, DType.F32, 1, 2, 1, 9, 8, 8, 0, false, List.of(Keys.causal(9, 0)));
        CudaBackend device = CudaDevices.shared();
        FakeCuda.forget();
        assertThat(exact.problems(device, device.kernel(AttentionKernel.class).orElseThrow(), true)).isEmpty();
        if (!FakeCuda.isReal()) {
            assertThat(FakeCuda.launches()).isNotEmpty().noneMatch(launch -> launch.contains("mma"));
        }
    }
}
