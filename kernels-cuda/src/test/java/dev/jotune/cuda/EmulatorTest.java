package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.KernelTexts;
import dev.jotune.kernel.Param;
import dev.jotune.kernel.Target;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.function.IntToDoubleFunction;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Words of CUDA and of ptx.h on the CPU against plain Java. */
class EmulatorTest {
    private static final int LANES = 32;

    /** Runs a body in the dialect on one group: {@code x} holds 0, 1, 2, ..., {@code y} as many results as there are items. */
    private static float[] run(int group, String body) {
        List<Param> params = List.of(Param.in("x", DType.F32), Param.out("y", DType.F32));
        KernelSource kernel = new KernelSource("words", "KERNEL {\n" + body + "\n}\n", params, new TreeMap<>(), group, DType.F32);
        float[] x = new float[group];
        for (int i = 0; i < group; i++) {
            x[i] = i;
        }
        try (Emulator e = new Emulator("schedule=random")) {
            Emulator.Pointer y = e.empty(4L * group);
            e.launch(e.kernel(new CudaSource(kernel, 4096, CudaSource.Chip.SM90A, 1).emit(), "words"), 1, group, 4096, 1, e.floats(x), 0L, y, 0L);
            return e.floats(y);
        }
    }

    private static void gives(int group, String body, IntToDoubleFunction want) {
        float[] y = run(group, body);
        for (int i = 0; i < group; i++) {
            assertThat(y[i]).as("item %d", i).isEqualTo((float) want.applyAsDouble(i));
        }
    }

    @Test
    void itemsOfSeveralGroupsMeetInSharedMemory() {
        String text = """
                extern "C" __global__ void __launch_bounds__(64) turn(float* y, const float* x, int n) {
                    __shared__ float line[64];
                    line[threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
                    __syncthreads();
                    y[blockIdx.x * 64 + threadIdx.x] = line[63 - threadIdx.x] + (float)n;
                }
                """;
        try (Emulator e = new Emulator("")) {
            float[] x = new float[128];
            for (int i = 0; i < 128; i++) {
                x[i] = i;
            }
            Emulator.Pointer y = e.empty(512);
            e.launch(e.kernel(text, "turn"), 2, 64, 0, 1, y, e.floats(x), 1000);
            float[] out = e.floats(y);
            for (int i = 0; i < 128; i++) {
                assertThat(out[i]).isEqualTo(1000 + i / 64 * 64 + 63 - i % 64);
            }
        }
    }

    @Test
    void shufflesReadOtherLanes() {
        gives(64, "y[LID] = __shfl_sync(0xffffffffu, x[LID], 5);", i -> i / LANES * LANES + 5);
        gives(64, "y[LID] = __shfl_xor_sync(0xffffffffu, x[LID], 3);", i -> i ^ 3);
        gives(64, "y[LID] = __shfl_up_sync(0xffffffffu, x[LID], 2);", i -> i % LANES < 2 ? i : i - 2);
        gives(64, "y[LID] = __shfl_down_sync(0xffffffffu, x[LID], 4, 8);", i -> i % 8 < 4 ? i + 4 : i);
        gives(16, "y[LID] = __shfl_xor_sync(0xffffu, x[LID], 8);", i -> i ^ 8);
        gives(32, "y[LID] = (float)__shfl_xor_sync(0xffffffffu, (double)LID, 16);", i -> i ^ 16);
        gives(32, "if (LID < 8) { y[LID] = __shfl_xor_sync(0xffu, x[LID], 1); } else { y[LID] = -1; }", i -> i < 8 ? i ^ 1 : -1);
    }

    @Test
    void votesAskAllLanes() {
        gives(64, "y[LID] = __ballot_sync(0xffffffffu, LID % 32 < 3) == 7u;", i -> 1);
        gives(64, "y[LID] = __any_sync(0xffffffffu, LID == 40);", i -> i / LANES);
        gives(64, "SHM real line[64]; line[LID] = x[LID]; __syncwarp(); y[LID] = line[LID ^ 1];", i -> i ^ 1);
    }

    @Test
    void reductionsOfThePreludeTakeAllItems() {
        gives(128, "SHM real line[GROUP]; y[LID] = GROUP_SUM(x[LID], line);", i -> 127 * 64);
        gives(128, "SHM real line[GROUP]; y[LID] = GROUP_MAX(x[LID], line);", i -> 127);
    }

    @Test
    void namedBarriersTakeSomeItems() {
        gives(128, """
                SHM real line[128];
                line[LID] = x[LID];
                if (LID < 64) {
                    BAR_SYNC(1, 64);
                    y[LID] = line[63 - LID];
                } else if (LID < 96) {
                    BAR_SYNC(2, 64);
                    y[LID] = line[LID + 32];
                } else {
                    BAR_ARRIVE(2, 64);
                    y[LID] = 0;
                }""", i -> i < 64 ? 63 - i : i < 96 ? i + LANES : 0);
    }

    @Test
    void copiesOfSixteenBytesFillWithZeros() {
        gives(32, """
                DYNAMIC_SHARED(memory);
                cp_async16(memory + 16 * LID, x + LID / 4 * 4, LID % 4 * 4);
                cp_async_commit();
                CP_ASYNC_WAIT(0);
                const float* mine = (const float*)(memory + 16 * LID);
                y[LID] = mine[0] + mine[1] + mine[2] + mine[3];""",
                i -> switch (i % 4) {
                    case 0 -> 0;
                    case 1 -> i / 4 * 4;
                    case 2 -> i / 4 * 8 + 1;
                    default -> i / 4 * 12 + 3;
                });
    }

    @Test
    void copiesOfFourBytesMayLieAnywhere() {
        gives(32, """
                DYNAMIC_SHARED(memory);
                cp_async4(memory + 4 * LID, x + (LID + 3) % 32, LID % 2 * 4);
                cp_async_commit();
                CP_ASYNC_WAIT(0);
                y[LID] = ((const float*)memory)[LID];""", i -> i % 2 * ((i + 3) % 32));
    }

    @Test
    void fragmentsOfMatricesAreThoseOfThePtxIsa() {
        String rows = """
                DYNAMIC_SHARED(memory);
                u16* m = (u16*)memory;
                for (int i = LID; i < 256; i += GROUP) {
                    m[i] = (u16)i;
                }
                BARRIER();
                u32 r[4];
                """;
        // Matrix 2 begins at 128; a lane gets two neighbours of row lane / 4.
        gives(32, rows + "ldmatrix_x4(r, m + 8 * LID); y[LID] = (float)(r[2] & 0xffffu);", i -> 128 + i / 4 * 8 + i % 4 * 2);
        gives(32, rows + "ldmatrix_x4(r, m + 8 * LID); y[LID] = (float)(r[2] >> 16);", i -> 128 + i / 4 * 8 + i % 4 * 2 + 1);
        gives(32, rows + "ldmatrix_x2_trans(r, m + 8 * (LID % 16)); y[LID] = (float)(r[1] >> 16);", i -> 64 + (i % 4 * 2 + 1) * 8 + i / 4);
        gives(32, rows + "ldmatrix_x4_trans(r, m + 8 * LID); y[LID] = (float)(r[3] & 0xffffu);", i -> 192 + i % 4 * 2 * 8 + i / 4);
        gives(32, rows + "ldmatrix_x2(r, m + 8 * (LID % 16)); y[LID] = (float)(r[0] >> 16);", i -> i / 4 * 8 + i % 4 * 2 + 1);
    }

    @Test
    void warpsMultiplyHalvesAndTf32() {
        // Rows of a hold their number once in each column, b is the unit matrix's first columns times 2.
        String halves = """
                int g = LID / 4;
                int t = LID % 4;
                u32 row = pack_f16((float)g, (float)g);
                u32 below = pack_f16((float)(g + 8), (float)(g + 8));
                u32 a[4] = {row, below, row, below};
                u32 b[2] = {pack_f16(2 * t == g ? 2.0f : 0.0f, 2 * t + 1 == g ? 2.0f : 0.0f), 0};
                float d[4] = {0.5f, 0.5f, 0.5f, 0.5f};
                mma_f16(d, a, b);
                """;
        gives(32, halves + "y[LID] = d[1];", i -> 0.5 + 2 * (i / 4));
        gives(32, halves + "y[LID] = d[2];", i -> 0.5 + 2 * (i / 4 + 8));
        // Column k of a holds k, b is one in row 5.
        gives(32, """
                int t = LID % 4;
                u32 a[4] = {to_tf32((float)t), to_tf32((float)t), to_tf32((float)(t + 4)), to_tf32((float)(t + 4))};
                u32 b[2] = {0, t == 1 ? to_tf32((float)(LID / 4)) : 0};
                float d[4] = {};
                mma_tf32(d, a, b);
                y[LID] = d[1];""", i -> 5 * (i % 4 * 2 + 1));
    }

    @Test
    void halvesConvertAsJavaDoes() {
        String text = """
                KERNEL {
                    for (int i = LID; i < 65536; i += GROUP) {
                        wide[i] = ld_f16(h, i);
                        st_f16(back, i, values[i]);
                        pairs[i] = (int)pack_bf16(values[i], 1.0f);
                        exact[i] = (int)to_tf32(values[i]);
                    }
                }
                """;
        List<Param> params = List.of(Param.in("h", DType.F16), Param.in("values", DType.F32), Param.out("wide", DType.F32),
                Param.out("back", DType.F16), Param.out("pairs", DType.I32), Param.out("exact", DType.I32));
        int n = 1 << 16;
        short[] all = new short[n];
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            all[i] = (short) i;
            // Every exponent, and the last bits that decide how it is rounded.
            values[i] = Float.intBitsToFloat(i * 65537 + 4096);
        }
        CudaSource source = new CudaSource(new KernelSource("convert", text, params, new TreeMap<>(), 256, DType.F32), 0, CudaSource.Chip.SM80, 1);
        try (Emulator e = new Emulator("")) {
            Emulator.Pointer wide = e.empty(4L * n);
            Emulator.Pointer back = e.empty(2L * n);
            Emulator.Pointer pairs = e.empty(4L * n);
            Emulator.Pointer exact = e.empty(4L * n);
            e.launch(e.kernel(source.emit(), "convert"), 1, 256, 0, 1, e.halves(all), 0L, e.floats(values), 0L, wide, 0L, back, 0L,
                    pairs, 0L, exact, 0L);
            float[] wides = e.floats(wide);
            int[] backs = e.ints(back);
            int[] bf16 = e.ints(pairs);
            int[] tf32 = e.ints(exact);
            for (int i = 0; i < n; i++) {
                float v = values[i];
                assertThat(Float.compare(wides[i], Float.float16ToFloat((short) i))).isZero();
                short half = (short) (backs[i / 2] >>> 16 * (i % 2));
                if (Float.isNaN(v)) {
                    assertThat(Float.float16ToFloat(half)).isNaN();
                } else {
                    assertThat(half).as("%s", v).isEqualTo(Float.floatToFloat16(v));
                    int bits = Float.floatToRawIntBits(v);
                    assertThat(bf16[i]).isEqualTo(0x3f800000 | (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
                    assertThat(tf32[i]).isEqualTo(Float.isInfinite(v) ? bits : bits + 0x1000 & 0xffffe000);
                }
            }
        }
    }

    @Test
    void boxesReachBeyondTheirTensor() {
        String text = """
                KERNEL {
                    DYNAMIC_SHARED(memory);
                    SHM u64 bar[1];
                    if (LID == 0) {
                        mbar_init(bar, 1);
                        fence_barrier_init();
                        mbar_expect_tx(bar, 16 * 4 * 4);
                        tma_load_2d(memory, &map, bar, 8, -1);
                    }
                    BARRIER();
                    mbar_wait(bar, 0);
                    y[LID] = ((const float*)memory)[LID];
                    fence_proxy_async();
                    BARRIER();
                    if (LID == 0) {
                        tma_store_2d(&map, memory, 2, 3);
                        tma_store_commit();
                        TMA_STORE_WAIT(0);
                    }
                }
                """;
        List<Param> params = List.of(Param.tensorMap("map"), Param.out("y", DType.F32));
        KernelSource kernel = new KernelSource("boxes", text, params, new TreeMap<>(), 64, DType.F32);
        try (Emulator e = new Emulator("")) {
            float[] x = EmulatedTexts.whole(5 * 12, 3);
            Emulator.Pointer in = e.floats(x);
            Emulator.Pointer y = e.empty(256);
            e.launch(e.kernel(new CudaSource(kernel, 256, CudaSource.Chip.SM90A, 1).emit(), "boxes"), 1, 64, 256, 1,
                    e.map(in, EmulatedTexts.F32, 4, 5, 12, 4, 16, 0), y, 0L);
            float[] box = e.floats(y);
            float[] after = e.floats(in);
            for (int r = 0; r < 4; r++) {
                for (int c = 0; c < 16; c++) {
                    assertThat(box[r * 16 + c]).isEqualTo(r > 0 && c < 4 ? x[(r - 1) * 12 + 8 + c] : 0);
                    if (r < 2 && c < 10) {
                        assertThat(after[(r + 3) * 12 + 2 + c]).isEqualTo(box[r * 16 + c]);
                    }
                }
            }
        }
    }

    @Test
    void aTextThatIsNoCudaSaysWhereItIsWrong() {
        try (Emulator e = new Emulator("")) {
            assertThatThrownBy(() -> e.kernel("extern \"C\" __global__ void f(float* y) {\n    y[0] = nothing;\n}\n", "f"))
                    .hasMessageContaining("f.cu:2").hasMessageContaining("nothing");
        }
    }

    @Test
    void everyWordOfPtxHasAMeaning() throws IOException {
        String ptx = CudaSource.resource("ptx.h");
        String emulator = Files.readString(FakeCuda.folder().resolve("emulator.h"));
        // What ptx.h uses itself makes other words.
        List<String> words = Pattern.compile("(?m)^(?:FN [a-z0-9_]+\\*? |#define )(\\w+)\\(").matcher(ptx).results().map(m -> m.group(1))
                .filter(w -> Pattern.compile("\\b" + w + "\\b").matcher(ptx).results().count() == 1 || w.equals(w.toLowerCase(Locale.ROOT))).toList();
        assertThat(words).hasSizeGreaterThan(40).allMatch(w -> Pattern.compile("\\b" + w + "\\b").matcher(emulator).find());
    }

    @Test
    void everyPortableTextCompiles() {
        KernelTexts.all().forEach((name, source) -> {
            try (Emulator e = new Emulator("")) {
                assertThat(e.kernel(Emitter.emit(source, Target.CUDA), source.name())).as(name).isNotZero();
            }
        });
    }
}
