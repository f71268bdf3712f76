package dev.jotune.kernels.x86.gemm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.RowCode;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.testing.conformance.QuantCases;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Sums of rows with one row of x: the definition's but for what is lost in rounding x to 23 bits of a block's largest number, within
 * exactly the memory that they say, and the same bits from the processor and from the interpreter.
 */
class CodedRowsTest {
    private static final int LANES = 16;

    /** What a kernel made of some rows: 16 sums a row. */
    private record Result(float[] x, BlockMatrix weight, float[] sums) {
        double sum(int row) {
            double all = 0;
            for (int i = 0; i < LANES; i++) {
                all += sums[LANES * row + i];
            }
            return all;
        }
    }

    private static float[] normal(int n, long seed) {
        Random random = new Random(seed);
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            // Blocks differ by orders of magnitude, as activations do.
            x[i] = (float) (random.nextGaussian() * Math.pow(10, i / RowArgs.LENGTH % 5 - 2));
        }
        return x;
    }

    private static Result run(CodeInstaller installer, Ranges memory, BlockFormat format, int rows, float[] x) {
        BlockMatrix weight = QuantCases.random(Backends.cpu(), format, rows, x.length);
        RowCode code = new RowKernels(installer).of(format).orElseThrow();
        long rowBytes = format.rowBytes(x.length);
        try (Arena arena = Arena.ofConfined()) {
            Guarded row = new Guarded(arena, 4L * x.length).allow(memory, false);
            Guarded prepared = new Guarded(arena, code.bytes(x.length)).allow(memory, true);
            Guarded stored = new Guarded(arena, rows * rowBytes).allow(memory, false);
            Guarded out = new Guarded(arena, 4L * LANES * rows).allow(memory, true);
            memory.allow(Workspace.get(Workspace.ARGUMENTS, RowArgs.SIZE), RowArgs.SIZE, true);
            for (int i = 0; i < x.length; i++) {
                row.setFloat(i, x[i]);
            }
            MemorySegment bytes = weight.stored().storage().host().asSlice(0, rows * rowBytes);
            MemorySegment.ofAddress(stored.address).reinterpret(bytes.byteSize()).copyFrom(bytes);
            code.prepare(row.address, x.length, prepared.address);
            code.sums(prepared.address, stored.address, rowBytes, x.length, rows, out.address, 4L * LANES);
            for (Guarded g : Arrays.asList(row, prepared, stored, out)) {
                g.check(format + " " + rows + " x " + x.length);
            }
            float[] sums = new float[LANES * rows];
            MemorySegment.copy(MemorySegment.ofAddress(out.address).reinterpret(4L * sums.length), ValueLayout.JAVA_FLOAT, 0, sums, 0, sums.length);
            return new Result(x, weight, sums);
        }
    }

    private static Result emulated(BlockFormat format, int rows, float[] x) {
        Ranges memory = new Ranges();
        return run(new EmulatedCode(memory), memory, format, rows, x);
    }

    private static Result real(BlockFormat format, int rows, float[] x) {
        return run(new RealCode(), new Ranges(), format, rows, x);
    }

    /** The largest error of an element over the sum of its terms' magnitudes, each term as large as its block's largest number makes it. */
    private static double check(Result r) {
        int columns = r.x.length;
        float[] row = new float[columns];
        double worst = 0;
        for (int j = 0; j < r.weight.rows(); j++) {
            r.weight.row(j, row);
            double sum = 0;
            double size = 0;
            for (int b = 0; b < columns; b += RowArgs.LENGTH) {
                double largest = 0;
                double weights = 0;
                for (int p = b; p < b + RowArgs.LENGTH; p++) {
                    sum += (double) row[p] * r.x[p];
                    weights += Math.abs(row[p]);
                    largest = Math.max(largest, Math.abs(r.x[p]));
                }
                size += largest * weights;
            }
            double error = Math.abs(r.sum(j) - sum);
            assertThat(error).as("%s, row %d", r.weight, j).isLessThanOrEqualTo(0x1p-22 * size);
            worst = Math.max(worst, error / size);
        }
        return worst;
    }

    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"})
    void everyNumberOfRowsAndBlocks(BlockFormat format) {
        for (int n = 1; n <= 67; n++) {
            float[] x = normal(format.elements() * (1 + n % 19), n);
            int rows = 1 + n % 7;
            Result interpreted = emulated(format, rows, x);
            check(interpreted);
            if (RealCode.hasVectors()) {
                assertThat(real(format, rows, x).sums).as("%s %d x %d", format, rows, x.length).isEqualTo(interpreted.sums);
                check(real(format, n, x));
            }
        }
    }

    /** The error is no more than that of a sum in F32, term after term. */
    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"})
    void theErrorIsThatOfF32(BlockFormat format) {
        Result r = emulated(format, 8, normal(2048, 1));
        double got = check(r);
        float[] row = new float[2048];
        double plain = 0;
        for (int j = 0; j < 8; j++) {
            r.weight.row(j, row);
            float f32 = 0;
            double sum = 0;
            double size = 0;
            for (int p = 0; p < row.length; p++) {
                f32 = Math.fma(row[p], r.x[p], f32);
                sum += (double) row[p] * r.x[p];
                size += Math.abs(row[p] * r.x[p]);
            }
            plain = Math.max(plain, Math.abs(f32 - sum) / size);
        }
        assertThat(got).as("%s; F32, term after term: %.2g", format, plain).isLessThan(plain);
    }

    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"})
    void theLargestNumbersDoNotOverflow(BlockFormat format) {
        float[] x = new float[256];
        for (float value : new float[] {1, -1, 3e38f, 1e-28f}) {
            Arrays.fill(x, value);
            BlockMatrix w = QuantCases.random(Backends.cpu(), format, 1, x.length);
            // All codes at their ends; scales stay.
            byte[] bytes = w.stored().storage().host().toArray(ValueLayout.JAVA_BYTE);
            for (int end : new int[] {0x00, 0x80, 0x7f, 0xff}) {
                float[] row = new float[x.length];
                byte[] filled = bytes.clone();
                int from = format == BlockFormat.Q4_K ? 16 : format == BlockFormat.Q6_K ? 0 : 2;
                int to = format == BlockFormat.Q6_K ? 192 : format.bytes();
                for (int b = 0; b < x.length / format.elements(); b++) {
                    Arrays.fill(filled, b * format.bytes() + from, b * format.bytes() + to, (byte) end);
                }
                Tensor stored = Tensor.empty(Backends.cpu(), DType.U8, filled.length);
                stored.storage().host().copyFrom(MemorySegment.ofArray(filled));
                BlockMatrix m = BlockMatrix.of(format, 1, x.length, stored);
                m.row(0, row);
                RowCode code = new RowKernels(new EmulatedCode(new Ranges())).of(format).orElseThrow();
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment prepared = arena.allocate(code.bytes(x.length), 64);
                    MemorySegment out = arena.allocate(4L * LANES, 64);
                    MemorySegment in = arena.allocate(4L * x.length, 64);
                    in.copyFrom(MemorySegment.ofArray(x));
                    code.prepare(in.address(), x.length, prepared.address());
                    code.sums(prepared.address(), stored.address(), format.rowBytes(x.length), x.length, 1, out.address(), 4L * LANES);
                    double got = 0;
                    for (int i = 0; i < LANES; i++) {
                        got += out.getAtIndex(ValueLayout.JAVA_FLOAT, i) / (double) value;
                    }
                    double want = 0;
                    double size = 0;
                    for (float v : row) {
                        want += v;
                        size += Math.abs(v);
                    }
                    boolean beyond = Math.abs(value) * size > Float.MAX_VALUE;
                    assertThat(beyond || Math.abs(got - want) <= 0x1p-20 * size).as("%s, codes %x, x %g: %g, not %g", format, end, value, got, want)
                            .isTrue();
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"})
    void noColumnsMakeZeros(BlockFormat format) {
        assertThat(emulated(format, 3, new float[0]).sums).containsOnly(0f);
    }

    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"})
    void notANumberReachesTheResultAndZerosStayZero(BlockFormat format) {
        float[] x = normal(512, 5);
        x[300] = Float.NaN;
        for (int j = 0; j < 3; j++) {
            assertThat(emulated(format, 3, x).sum(j)).isNaN();
        }
        Arrays.fill(x, 0);
        assertThat(emulated(format, 3, x).sums).containsOnly(0f);
    }

    @Test
    void otherFormatsAreLeftToTheVectorApi() {
        RowKernels kernels = new RowKernels(new EmulatedCode(new Ranges()));
        for (BlockFormat format : BlockFormat.values()) {
            boolean here = format == BlockFormat.Q8_0 || format == BlockFormat.Q4_0 || format == BlockFormat.Q4_K || format == BlockFormat.Q6_K;
            assertThat(kernels.of(format).isPresent()).as("%s", format).isEqualTo(here);
        }
    }
}
