package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.cuda.Fp32Product.Kind;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Products of F32 on tensor cores on the emulator: the same bits under every schedule, and faults planted in their texts are seen. */
class Fp32FaultsTest extends OwnDevice {
    private static final List<String> SCHEDULES = List.of("schedule=forward async=lazy", "schedule=greedy async=eager",
            "schedule=greedy-reverse async=lazy", "schedule=random async=random seed=7");

    @BeforeEach
    void onlyWhereOrdersCanBeSet() {
        assumeFalse(FakeCuda.isReal(), "a device has its own order");
    }

    @AfterEach
    void asItWas() {
        System.clearProperty(Fp32Precision.PROPERTY);
    }

    /** Without the sizes that wait as their neighbours do and take the emulator long. */
    static Stream<Kind> kinds() {
        return CudaFp32Test.kinds().filter(k -> k.way() != Way.MMA_MEDIUM && k.way() != Way.WGMMA_256);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void noScheduleChangesABit(Kind kind) {
        double[] first = null;
        for (String schedule : SCHEDULES) {
            FakeCuda.configure(schedule);
            double[] errors = Fp32Product.run(device, kind, Fp32Product.of(device, 136, 260, 292, 2, 0), false);
            assertThat(Fp32Product.worst(errors)).as(schedule).isLessThan(Fp32Product.allowed(kind, 292));
            first = first == null ? errors : first;
            assertThat(errors).as(schedule).containsExactly(first);
        }
    }

    /** A fault that is planted in a text. */
    private record Fault(String what, Kind kind, String from, String to) {}

    static Stream<Fault> faults() {
        Kind rounded = new Kind(Fp32Precision.TF32, Way.MMA_SMALL);
        Kind single = new Kind(Fp32Precision.TF32, Way.PLAIN);
        Kind pieces = new Kind(Fp32Precision.BF16X6, Way.MMA_SMALL);
        Kind groups = new Kind(Fp32Precision.TF32, Way.WGMMA_128);
        return Stream.of(
                new Fault("a wait for one copy too few", rounded, "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
                new Fault("a wait for one copy too few", pieces, "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
                new Fault("no barrier between steps", rounded, "CP_ASYNC_WAIT(STAGES - 2);\n        BARRIER();", "CP_ASYNC_WAIT(STAGES - 2);"),
                new Fault("no barrier between steps", pieces, "CP_ASYNC_WAIT(STAGES - 2);\n        BARRIER();", "CP_ASYNC_WAIT(STAGES - 2);"),
                new Fault("a chunk beside its place", rounded, "k + lane / 16 * 4, A_LONG", "k + lane / 8 % 2 * 4, A_LONG"),
                new Fault("a number where there is none", single, "(left) > 0 ? 4 : 0", "4"),
                new Fault("a product of pieces left out", pieces, "int order = 2;", "int order = 1;"),
                new Fault("a piece that is not what the one before left", pieces, "y -= FLOAT_OF(pair & 0xffff0000u);", "y -= FLOAT_OF(pair);"),
                new Fault("pieces of numbers that do not meet", pieces, "split(right + 1, 2, r[2 * h + 4]", "split(right + 1, 2, r[2 * h]"),
                new Fault("a wrong step of the descriptor", groups, "B_INNER ? 32 : 2048", "B_INNER ? 64 : 2048"),
                new Fault("no step of the descriptor", groups, "a + d * (A_INNER ? 32 : 2048)", "a"),
                new Fault("a wrong stride of the descriptor", groups, "BOX, 1024, 128);\n            MULTIPLY",
                        "BOX, 2048, 128);\n            MULTIPLY"),
                new Fault("boxes half as far apart as they are long", groups, "#define BK (LINE / 4)", "#define BK (LINE / 8)"),
                new Fault("fewer bytes expected than come", groups, "mbar_expect_tx(full, STAGE)", "mbar_expect_tx(full, STAGE - 128)"),
                new Fault("no wait for a full buffer", groups, "mbar_wait(r->full + r->slot, r->parity);", ""),
                new Fault("sums taken before they are there", groups, "WGMMA_WAIT(0);\n    WGMMA_HOLD", "WGMMA_HOLD"));
    }

    /** The faults' kernels without faults: what is seen below is the fault. */
    @Test
    void withoutFaultsNothingIsSeen() {
        assertThat(faults().map(Fault::kind).distinct().map(k -> problem(device, k))).containsOnly(Optional.empty());
    }

    @ParameterizedTest
    @MethodSource("faults")
    void plantedFaultsAreSeen(Fault fault) {
        boolean[] planted = new boolean[1];
        CudaBackend wrong = device(text -> {
            String edited = text.replace(fault.from, fault.to);
            planted[0] |= !edited.equals(text);
            return edited;
        });
        Optional<String> seen = Optional.empty();
        for (String schedule : SCHEDULES) {
            if (seen.isEmpty()) {
                FakeCuda.configure(schedule);
                seen = problem(wrong, fault.kind);
            }
        }
        assertThat(planted[0]).as("planted").isTrue();
        assertThat(seen).as(fault.what).isPresent();
    }

    private static Optional<String> problem(CudaBackend wrong, Kind kind) {
        // Lines of odd lengths for what is copied number by number.
        int k = kind.way() == Way.PLAIN ? 293 : 292;
        try {
            double[] errors = Fp32Product.run(wrong, kind, Fp32Product.of(wrong, 136, 260, k, 2, 0), false);
            // Sums of so many numbers in F32 have mean errors below that; what a product of pieces left out does is ten times as much.
            boolean exact = kind.precision() == Fp32Precision.TF32 || Math.sqrt(Fp32Product.meanSquare(errors)) < 0x1p-25;
            double worst = Fp32Product.worst(errors);
            return exact && worst < Fp32Product.allowed(kind, k) ? Optional.empty() : Optional.of("error " + worst);
        } catch (RuntimeException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }
}
