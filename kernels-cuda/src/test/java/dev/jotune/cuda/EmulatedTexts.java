package dev.jotune.cuda;

import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** Kernels made for tests of the emulator, each with a run on small whole numbers, whose sums are exact in any order. */
final class EmulatedTexts {
    /** Every order of items with every way to complete asynchronous work. */
    static final List<String> SCHEDULES = Stream.concat(
            Stream.of("forward", "reverse", "random", "greedy", "greedy-reverse")
                    .flatMap(s -> Stream.of("lazy", "eager", "random").map(a -> "schedule=" + s + " async=" + a)),
            Stream.of("schedule=random async=random seed=2", "schedule=random async=random seed=3")).toList();
    /** Of CUtensorMapDataType. */
    static final int F16 = 6;
    static final int F32 = 7;
    static final int BF16 = 9;
    static final int TF32 = 11;

    private static final int ROWS = 128;
    private static final int COLUMNS = 192;
    private static final int INNER = 448;

    private EmulatedTexts() {}

    /** Whole numbers from -4 to 4. */
    static float[] whole(int n, long seed) {
        Random random = new Random(seed);
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = random.nextInt(9) - 4;
        }
        return x;
    }

    static short[] bf16(float... x) {
        short[] bits = new short[x.length];
        for (int i = 0; i < x.length; i++) {
            bits[i] = (short) (Float.floatToRawIntBits(x[i]) >>> 16);
        }
        return bits;
    }

    static short[] f16(float... x) {
        short[] bits = new short[x.length];
        for (int i = 0; i < x.length; i++) {
            bits[i] = Float.floatToFloat16(x[i]);
        }
        return bits;
    }

    /** a[m, inner] b[n, inner]^T. */
    static float[] product(float[] a, float[] b, int rows, int columns, int inner) {
        float[] c = new float[rows * columns];
        for (int m = 0; m < rows; m++) {
            for (int n = 0; n < columns; n++) {
                for (int k = 0; k < inner; k++) {
                    c[m * columns + n] += a[m * inner + k] * b[n * inner + k];
                }
            }
        }
        return c;
    }

    /** The other way round: [columns, rows] of [rows, columns]. */
    static float[] across(float[] x, int rows, int columns) {
        float[] y = new float[x.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                y[j * rows + i] = x[i * columns + j];
            }
        }
        return y;
    }

    /** A text with a place changed, which must be there. */
    static UnaryOperator<String> with(String place, String instead) {
        return text -> {
            if (!text.contains(place)) {
                throw new IllegalArgumentException("The text has no '" + place + "'.");
            }
            return text.replace(place, instead);
        };
    }

    /** The text as it is. */
    static UnaryOperator<String> whole() {
        return UnaryOperator.identity();
    }

    /** Runs try_mma.cu. */
    static float[] mma(String settings, UnaryOperator<String> change) {
        CudaSource source = CudaSource.of("try_mma", List.of(Param.in("a", DType.BF16), Param.in("b", DType.BF16), Param.out("c", DType.F32),
                Param.int32("columns"), Param.int32("inner")), Map.of(), 128, 0, CudaSource.Chip.SM80);
        try (Emulator e = new Emulator(settings)) {
            Emulator.Pointer c = e.empty(64 * 128 * 4);
            e.launch(e.kernel(change.apply(source.emit()), "try_mma"), 2, 128, 0, 1, e.halves(bf16(whole(64 * INNER, 1))), 0L,
                    e.halves(bf16(whole(128 * INNER, 2))), 0L, c, 0L, 128, INNER);
            return e.floats(c);
        }
    }

    /** What {@link #mma} must give. */
    static float[] mmaProduct() {
        return product(whole(64 * INNER, 1), whole(128 * INNER, 2), 64, 128, INNER);
    }

    /** Runs try_wgmma.cu. */
    static float[] wgmma(String settings, UnaryOperator<String> change) {
        CudaSource source = CudaSource.of("try_wgmma", List.of(Param.tensorMap("a_map"), Param.tensorMap("b_map"), Param.out("c", DType.F32),
                Param.int32("columns"), Param.int32("inner")), Map.of(), 384, 3 * 192 * 128, CudaSource.Chip.SM90A);
        try (Emulator e = new Emulator(settings)) {
            Emulator.Pointer c = e.empty(ROWS * COLUMNS * 4L);
            MemorySegment a = e.map(e.halves(bf16(whole(ROWS * INNER, 1))), BF16, 2, ROWS, INNER, 128, 64, 3);
            MemorySegment b = e.map(e.halves(bf16(whole(COLUMNS * INNER, 2))), BF16, 2, COLUMNS, INNER, 64, 64, 3);
            e.launch(e.kernel(change.apply(source.emit()), "try_wgmma"), COLUMNS / 64, 384, source.sharedBytes(), 1, a, b, c, 0L, COLUMNS,
                    INNER);
            return e.floats(c);
        }
    }

    /** What {@link #wgmma} must give. */
    static float[] wgmmaProduct() {
        return product(whole(ROWS * INNER, 1), whole(COLUMNS * INNER, 2), ROWS, COLUMNS, INNER);
    }

    /** Runs try_cluster.cu: y, then what it adds to zeros. */
    static float[][] cluster(String settings, UnaryOperator<String> change) {
        CudaSource source = CudaSource.of("try_cluster", List.of(Param.tensorMap("x_map"), Param.tensorMap("y_map"), Param.tensorMap("sums_map")),
                Map.of(), 128, 24 << 10, CudaSource.Chip.SM90A);
        try (Emulator e = new Emulator(settings)) {
            Emulator.Pointer y = e.empty(64 * 64 * 4);
            Emulator.Pointer sums = e.floats(whole(64 * 64, 2));
            e.launch(e.kernel(change.apply(source.emit()), "try_cluster"), 2, 128, 24 << 10, 2,
                    e.map(e.floats(whole(64 * 64, 1)), F32, 4, 64, 64, 64, 32, 0), e.map(y, F32, 4, 64, 64, 64, 32, 0),
                    e.map(sums, F32, 4, 64, 64, 64, 32, 0));
            return new float[][] {e.floats(y), e.floats(sums)};
        }
    }

    /** Runs try_layouts.cu: 64 lines of a, `wide` of b, as they lie. */
    static float[] layouts(int span, int wide, boolean aAcross, boolean bAcross, boolean registers) {
        CudaSource source = CudaSource.of("try_layouts", List.of(Param.in("a", DType.BF16), Param.tensorMap("a_map"), Param.tensorMap("b_map"),
                Param.out("c", DType.F32)), Map.of("SPAN", span, "WIDE", wide, "A_ACROSS", aAcross ? 1 : 0, "B_ACROSS", bAcross ? 1 : 0,
                "A_REGISTERS", registers ? 1 : 0, "TF32", 0), 128, (64 + wide) * 128, CudaSource.Chip.SM90A);
        try (Emulator e = new Emulator("")) {
            Emulator.Pointer c = e.empty(64L * wide * 4);
            float[] a = whole(64 * 64, 1);
            float[] b = whole(wide * 64, 2);
            float[] aLies = aAcross ? across(a, 64, 64) : a;
            float[] bLies = bAcross ? across(b, wide, 64) : b;
            Emulator.Pointer pa = e.halves(registers ? bf16(aLies) : f16(aLies));
            Emulator.Pointer pb = e.halves(registers ? bf16(bLies) : f16(bLies));
            int swizzle = Integer.numberOfTrailingZeros(span / 16);
            MemorySegment aMap = e.map(pa, F16, 2, 64, 64, 64, span / 2, swizzle);
            MemorySegment bMap = bAcross ? e.map(pb, F16, 2, 64, wide, 64, span / 2, swizzle) : e.map(pb, F16, 2, wide, 64, wide, span / 2, swizzle);
            e.launch(e.kernel(source.emit(), "try_layouts"), 1, 128, source.sharedBytes(), 1, pa, 0L, aMap, bMap, c, 0L);
            return e.floats(c);
        }
    }

    /** The same of TF32: 32 numbers a line, each a little smaller than what it must be rounded to on its way. */
    static float[] roundedLayouts(int span, int wide) {
        CudaSource source = CudaSource.of("try_layouts", List.of(Param.in("a", DType.BF16), Param.tensorMap("a_map"), Param.tensorMap("b_map"),
                Param.out("c", DType.F32)), Map.of("SPAN", span, "WIDE", wide, "A_ACROSS", 0, "B_ACROSS", 0, "A_REGISTERS", 0, "TF32", 1), 128,
                (64 + wide) * 128, CudaSource.Chip.SM90A);
        try (Emulator e = new Emulator("")) {
            Emulator.Pointer c = e.empty(64L * wide * 4);
            Emulator.Pointer a = e.floats(smaller(whole(64 * 32, 1)));
            Emulator.Pointer b = e.floats(smaller(whole(wide * 32, 2)));
            int swizzle = Integer.numberOfTrailingZeros(span / 16);
            e.launch(e.kernel(source.emit(), "try_layouts"), 1, 128, source.sharedBytes(), 1, a, 0L,
                    e.map(a, TF32, 4, 64, 32, 64, span / 4, swizzle), e.map(b, TF32, 4, wide, 32, wide, span / 4, swizzle), c, 0L);
            return e.floats(c);
        }
    }

    private static float[] smaller(float[] x) {
        for (int i = 0; i < x.length; i++) {
            x[i] *= 1 - 0x1p-13f;
        }
        return x;
    }
}
