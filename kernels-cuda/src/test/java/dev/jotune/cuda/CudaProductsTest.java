package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Products on tensor cores against sums in F64: every kernel and layout, edges, batches, under several schedules; and planted faults. */
class CudaProductsTest extends OwnDevice {
    private static final List<String> SCHEDULES = List.of("schedule=forward async=lazy", "schedule=greedy async=eager",
            "schedule=greedy-reverse async=lazy", "schedule=random async=random seed=7");

    /**
     * A product.
     *
     * @param layout bits: a, b, out across their rows
     * @param batches 0: none; b is shared by all
     */
    private record Product(long m, long n, long k, int layout, int batches, boolean accumulate, DType in, DType out) {
        Product(long m, long n, long k, int layout) {
            this(m, n, k, layout, 0, false, DType.BF16, DType.F32);
        }
    }

    private static Tensor matrix(CudaBackend d, DType type, long stream, boolean across, int batches, long rows, long columns) {
        long[] shape = across ? new long[] {Math.max(1, batches), columns, rows} : new long[] {Math.max(1, batches), rows, columns};
        Tensor t = Tensor.empty(d, DType.F32, shape);
        d.normal(t, 3, stream);
        t = across ? t.to(type).transpose(1, 2) : t.to(type);
        return batches == 0 ? t.squeeze(0) : t;
    }

    /** The largest error of an element, relative to what rounding allows; NaN where something is not a number. */
    private static double error(CudaBackend d, Way way, Product p) {
        Tensor a = matrix(d, p.in, 1, (p.layout & 1) != 0, p.batches, p.m, p.k);
        Tensor b = matrix(d, p.in, 2, (p.layout & 2) != 0, 0, p.k, p.n);
        Tensor out = matrix(d, p.out, 3, (p.layout & 4) != 0, p.batches, p.m, p.n);
        double[] before = out.toDoubleArray();
        Tensor all = p.batches == 0 ? b : b.unsqueeze(0).expand(p.batches, p.k, p.n);
        assertThat(new CudaProducts(d, way).tryMultiply(a, all, out, p.accumulate)).isTrue();
        double[] got = out.toDoubleArray();
        double[] x = a.toDoubleArray();
        double[] w = b.toDoubleArray();
        double worst = 0;
        for (int i = 0; i < got.length; i++) {
            int row = (int) (i / p.n);
            double want = p.accumulate ? before[i] : 0;
            for (int k = 0; k < p.k; k++) {
                want += x[(int) (row * p.k + k)] * w[(int) (k * p.n + i % p.n)];
            }
            // F32 rounds each of K additions by 2^-24 of a sum that seldom exceeds 4 sqrt(K); a half keeps 8 or 11 bits of the result.
            double half = p.out == DType.F32 ? 0 : p.out == DType.BF16 ? 0x1p-8 : 0x1p-11;
            double allowed = 4 * p.k * Math.sqrt(p.k) * 0x1p-24 + 1e-6 + half * Math.abs(want);
            double ratio = Math.abs(got[i] - want) / allowed;
            worst = ratio > worst || Double.isNaN(ratio) ? ratio : worst;
            if (Double.isNaN(worst)) {
                return worst;
            }
        }
        return worst;
    }

    private static void check(CudaBackend d, Way way, Product p) {
        assertThat(error(d, way, p)).as(way + " " + p).isLessThan(1);
    }

    private void assumeFor(Way way) {
        if (way.name().startsWith("WGMMA")) {
            assumeTrue(device.chip() == 90, "needs compute capability 9.0");
        }
    }

    @ParameterizedTest
    @EnumSource(value = Way.class, mode = EnumSource.Mode.EXCLUDE, names = {"AUTO", "PORTABLE"})
    void everyLayoutHasItsNumbers(Way way) {
        assumeFor(way);
        for (int layout = 0; layout < 8; layout++) {
            check(device, way, new Product(72, 136, 88, layout));
        }
    }

    /** One less and one more than tiles, steps and chunks; lines may begin anywhere where the first kernel takes over. */
    @ParameterizedTest
    @EnumSource(value = Way.class, mode = EnumSource.Mode.EXCLUDE, names = {"PORTABLE"})
    void everyEdgeHasItsNumbers(Way way) {
        assumeFor(way);
        for (long[] s : new long[][] {{1, 8, 8}, {64, 64, 64}, {65, 264, 72}, {127, 256, 256}, {129, 40, 200}, {33, 47, 51}, {9, 9, 1},
                {257, 24, 328}}) {
            if (way != Way.AUTO || Math.min(s[0], s[1]) > 8) {
                check(device, way, new Product(s[0], s[1], s[2], 0));
                check(device, way, new Product(s[0], s[1], s[2], 2));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Way.class, mode = EnumSource.Mode.EXCLUDE, names = {"AUTO", "PORTABLE"})
    void typesBatchesAndSumsOnTop(Way way) {
        assumeFor(way);
        check(device, way, new Product(72, 72, 80, 2, 3, true, DType.BF16, DType.F32));
        check(device, way, new Product(40, 136, 64, 1, 2, false, DType.F16, DType.F16));
        check(device, way, new Product(40, 72, 96, 2, 2, true, DType.BF16, DType.BF16));
        check(device, way, new Product(72, 72, 64, 0, 1, false, DType.F16, DType.F32));
    }

    @Test
    void slicesAreReadWhereTheyLie() {
        Tensor a = matrix(device, DType.BF16, 1, false, 0, 70, 128).slice(1, 8, 80);
        Tensor b = matrix(device, DType.BF16, 2, false, 0, 100, 96).slice(0, 3, 75);
        Tensor out = Tensor.zeros(device, DType.F32, 70, 104);
        for (Way way : List.of(Way.MMA_SMALL, Way.WGMMA_128)) {
            assumeFor(way);
            assertThat(new CudaProducts(device, way).tryMultiply(a, b, out.slice(1, 4, 100), false)).isTrue();
            Tensor want = Tensor.zeros(device, DType.F32, 70, 104);
            new CudaProducts(device, Way.PLAIN).tryMultiply(a, b, want.slice(1, 4, 100), false);
            double[] got = out.toDoubleArray();
            double[] all = want.toDoubleArray();
            for (int i = 0; i < got.length; i++) {
                assertThat(got[i]).isCloseTo(all[i], org.assertj.core.data.Offset.offset(1e-4));
            }
        }
    }

    @Test
    void theBackendChoosesThem() {
        assumeFalse(FakeCuda.isReal());
        FakeCuda.forget();
        Tensor a = matrix(device, DType.BF16, 1, false, 0, 64, 256);
        Tensor b = matrix(device, DType.BF16, 2, true, 0, 256, 64);
        Tensor out = Tensor.empty(device, DType.F32, 64, 64);
        device.matmul(a, b, out, false);
        device.matmul(a.to(DType.F32), b, out, false);
        configure("capability=80");
        CudaBackend older = device(UnaryOperator.identity());
        older.matmul(matrix(older, DType.BF16, 1, false, 0, 64, 256), matrix(older, DType.BF16, 2, true, 0, 256, 64),
                Tensor.empty(older, DType.F32, 64, 64), false);
        assertThat(FakeCuda.launches().stream().map(l -> l.split(" ")[0])).contains("gemm_wgmma", "gemm", "gemm_mma");
    }

    @Test
    void itIsLeftToOthersWhereTensorCoresWouldRound() {
        Tensor a = matrix(device, DType.F32, 1, false, 0, 64, 64);
        Tensor b = matrix(device, DType.BF16, 2, false, 0, 64, 64);
        Tensor out = Tensor.empty(device, DType.F32, 64, 64);
        CudaProducts products = new CudaProducts(device, Way.AUTO);
        assertThat(products.tryMultiply(a, b, out, false)).isFalse();
        assertThat(products.tryMultiply(a, a, out, false)).isFalse();
        assertThat(products.tryMultiply(b.slice(0, 0, 8), b, out.slice(0, 0, 8), false)).as("few rows").isFalse();
    }

    @ParameterizedTest
    @EnumSource(value = Way.class, names = {"PLAIN", "MMA_SMALL", "MMA_LARGE", "WGMMA_128", "WGMMA_PAIRS"})
    void noScheduleChangesABit(Way way) {
        assumeFalse(FakeCuda.isReal());
        for (String schedule : SCHEDULES) {
            configure(schedule);
            check(device, way, new Product(136, 264, 584, 2));
        }
    }

    /** A fault that is planted in a text. */
    private record Fault(String what, Way way, String from, String to) {}

    static Stream<Fault> faults() {
        String fetched = "mbar_wait(r->full + r->slot, r->parity);";
        return Stream.of(
                new Fault("a wait for one copy too few", Way.MMA_SMALL, "CP_ASYNC_WAIT(STAGES - 2);", "CP_ASYNC_WAIT(STAGES - 1);"),
                new Fault("no barrier between steps", Way.MMA_SMALL, "CP_ASYNC_WAIT(STAGES - 2);\n        BARRIER();", "CP_ASYNC_WAIT(STAGES - 2);"),
                new Fault("a chunk beside its place", Way.MMA_SMALL, "lane % 16, k / 8 + lane / 16, A", "lane % 16, k / 8 + lane / 8 % 2, A"),
                new Fault("no barrier before the products", Way.PLAIN, "BARRIER();\n        UNROLL\n        for (int d",
                        "UNROLL\n        for (int d"),
                new Fault("no barrier after the products", Way.PLAIN, "        BARRIER();\n    }\n    i64 out_at", "    }\n    i64 out_at"),
                new Fault("a wrong step of the descriptor", Way.WGMMA_128, "B_INNER ? 32 : 2048", "B_INNER ? 64 : 2048"),
                new Fault("a wrong stride of the descriptor", Way.WGMMA_128, "BOX, 1024, 128);\n            MULTIPLY",
                        "BOX, 2048, 128);\n            MULTIPLY"),
                new Fault("fewer bytes expected than come", Way.WGMMA_128, "mbar_expect_tx(full, STAGE)", "mbar_expect_tx(full, STAGE - 128)"),
                new Fault("no wait for an empty buffer", Way.WGMMA_128, "mbar_wait(r->empty + r->slot, r->parity ^ 1);", ""),
                new Fault("no wait for a full buffer", Way.WGMMA_128, fetched, ""),
                new Fault("a buffer given back while it is read", Way.WGMMA_128, "WGMMA_WAIT(1);\n            ring_give_back(r, last);",
                        "WGMMA_WAIT(1);\n            ring_give_back(r, r->slot);"),
                new Fault("sums taken before they are there", Way.WGMMA_128, "WGMMA_WAIT(0);\n    WGMMA_HOLD", "WGMMA_HOLD"),
                new Fault("no barrier before a store", Way.WGMMA_128, "fence_proxy_async();\n                    BAR_SYNC(1 + team, 128);",
                        "fence_proxy_async();"),
                new Fault("no fence before a store", Way.WGMMA_128, "                    fence_proxy_async();\n", ""),
                new Fault("a piece overwritten on its way", Way.WGMMA_128, "TMA_STORE_WAIT(1);", ";"),
                new Fault("leaving with a store on its way", Way.WGMMA_128, "TMA_STORE_WAIT(0);", ";"),
                new Fault("arrivals at one group of two", Way.WGMMA_PAIRS, "if (LID % 32 < CLUSTER)", "if (LID % 32 < 1)"));
    }

    @ParameterizedTest
    @MethodSource("faults")
    void plantedFaultsAreSeen(Fault fault) {
        assumeFalse(FakeCuda.isReal());
        boolean[] planted = new boolean[1];
        CudaBackend wrong = device(text -> {
            String edited = text.replace(fault.from, fault.to);
            planted[0] |= !edited.equals(text);
            return edited;
        });
        Optional<String> seen = Optional.empty();
        for (String schedule : SCHEDULES) {
            if (seen.isEmpty()) {
                configure(schedule);
                seen = problem(wrong, fault.way);
            }
        }
        assertThat(planted[0]).as("planted").isTrue();
        assertThat(seen).as(fault.what).isPresent();
        if (Boolean.getBoolean("jotune.print")) {
            System.out.println(fault.what + ": " + seen.orElseThrow());
        }
    }

    private static Optional<String> problem(CudaBackend wrong, Way way) {
        try {
            double error = error(wrong, way, new Product(136, 264, 584, 2));
            return error < 1 ? Optional.empty() : Optional.of("error " + error);
        } catch (RuntimeException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }
}
