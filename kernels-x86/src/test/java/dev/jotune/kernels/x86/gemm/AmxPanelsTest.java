package dev.jotune.kernels.x86.gemm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Bf16;
import dev.jotune.kernels.x86.asm.Ranges;
import java.lang.foreign.Arena;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The AMX panel kernel, in the emulator on any machine and in the processor where it has AMX: every edge, every term. */
class AmxPanelsTest {
    /** A seed for which all rows of A are equal, and all columns of the panel. */
    private static final long UNIFORM = -1;

    /** A panel product whose buffers lie between canaries, run by one installer. */
    private record Run(float[] c, double[] want, double[] magnitude) {
        static Run of(CodeInstaller installer, Ranges memory, Operands operands, int rows, int columns, int k, int terms, long seed) {
            Random random = new Random(seed);
            VectorPanels vectors = new VectorPanels(installer);
            AmxPanels amx = new AmxPanels(vectors, installer);
            try (Arena arena = Arena.ofConfined()) {
                int aStride = Math.toIntExact(operands.rowBytes(k)) + 64 * random.nextInt(3);
                int cStride = 4 * (columns + random.nextInt(5));
                Guarded a = new Guarded(arena, (long) (rows - 1) * aStride + operands.rowBytes(k));
                Guarded panel = new Guarded(arena, (long) Product.pad(operands.words(k)) * TileCode.PANEL_ROW);
                Guarded c = new Guarded(arena, (long) (rows - 1) * cStride + 4L * columns).allow(memory, true);
                // BF16 factors are given as such: only what the kernel leaves out is an error.
                double[] left = numbers(random, rows, k, seed == UNIFORM, false, operands == Operands.BF16);
                double[] right = numbers(random, k, columns, false, seed == UNIFORM, operands.rightPieces() == 1);
                Pieces.rows(a, aStride, left, rows, k, operands);
                Pieces.panel(panel, right, k, columns, operands);
                a.allow(memory, false);
                panel.allow(memory, false);
                long args = Workspace.arguments();
                Raw.zero(args, TileArgs.SIZE);
                memory.allow(args, TileArgs.SIZE, true);
                memory.allow(Workspace.get(Workspace.TILES, AmxCode.SIZE), AmxCode.SIZE, false);
                Raw.set(args + TileArgs.A, a.address);
                Raw.set(args + TileArgs.A_STRIDE, aStride);
                Raw.set(args + TileArgs.PANEL, panel.address);
                Raw.set(args + TileArgs.PANEL_STRIDE, TileCode.PANEL_ROW);
                Raw.set(args + TileArgs.STEPS, (k + 1) / 2);
                Raw.set(args + TileArgs.C, c.address);
                Raw.set(args + TileArgs.C_STRIDE, cStride);
                double[] want = new double[rows * columns];
                double[] magnitude = new double[rows * columns];
                for (int i = 0; i < rows; i++) {
                    for (int j = 0; j < columns; j++) {
                        for (int p = 0; p < k; p++) {
                            double term = left[i * k + p] * right[p * columns + j];
                            want[i * columns + j] += term;
                            magnitude[i * columns + j] += Math.abs(term);
                        }
                    }
                }
                Guarded[] joined = join(arena, memory, random, args, want, rows, columns, terms, c, cStride);
                amx.run(operands, rows, columns, new Stretches(2, panel.address, 0, 128), args);
                a.check("A");
                panel.check("the panel");
                c.check("C");
                for (Guarded g : joined) {
                    g.check("a term");
                }
                float[] out = new float[rows * columns];
                for (int i = 0; i < rows; i++) {
                    for (int j = 0; j < cStride / 4; j++) {
                        if (j < columns) {
                            out[i * columns + j] = c.getFloat((long) i * cStride / 4 + j);
                        } else if (i < rows - 1) {
                            assertThat(Float.floatToRawIntBits(c.getFloat((long) i * cStride / 4 + j))).as("between rows of C").isEqualTo(0x6b6b6b6b);
                        }
                    }
                }
                return new Run(out, want, magnitude);
            }
        }

        /** Bits of {@code terms}: bias, low-rank, residual; 8: what is in C already. */
        private static Guarded[] join(Arena arena, Ranges memory, Random random, long args, double[] want, int rows, int columns, int terms,
                Guarded c, int cStride) {
            Guarded bias = floats(arena, memory, random, columns);
            Guarded residual = floats(arena, memory, random, rows * columns);
            int rank = 3;
            Guarded left = floats(arena, memory, random, rows * rank);
            Guarded right = floats(arena, memory, random, rank * TileCode.WIDTH);
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < columns; j++) {
                    double sum = (terms & 1) != 0 ? bias.getFloat(j) : 0;
                    for (int r = 0; r < rank && (terms & 2) != 0; r++) {
                        sum += (double) left.getFloat((long) i * rank + r) * right.getFloat((long) r * TileCode.WIDTH + j);
                    }
                    sum += (terms & 4) != 0 ? residual.getFloat((long) i * columns + j) : 0;
                    if ((terms & 8) != 0) {
                        c.setFloat((long) i * cStride / 4 + j, (float) random.nextGaussian());
                        sum += c.getFloat((long) i * cStride / 4 + j);
                    }
                    want[i * columns + j] += sum;
                }
            }
            Raw.set(args + TileArgs.BIAS, (terms & 1) != 0 ? bias.address : 0);
            Raw.set(args + TileArgs.LEFT, (terms & 2) != 0 ? left.address : 0);
            Raw.set(args + TileArgs.LEFT_STRIDE, 4 * rank);
            Raw.set(args + TileArgs.RIGHT, right.address);
            Raw.set(args + TileArgs.RANK, rank);
            Raw.set(args + TileArgs.RESIDUAL, (terms & 4) != 0 ? residual.address : (terms & 8) != 0 ? c.address : 0);
            Raw.set(args + TileArgs.RESIDUAL_STRIDE, (terms & 4) != 0 ? 4L * columns : cStride);
            return new Guarded[] {bias, residual, left, right};
        }

        private static Guarded floats(Arena arena, Ranges memory, Random random, int count) {
            Guarded g = new Guarded(arena, 4L * count).allow(memory, false);
            for (int i = 0; i < count; i++) {
                g.setFloat(i, (float) random.nextGaussian());
            }
            return g;
        }

        private static double[] numbers(Random random, int rows, int columns, boolean equalRows, boolean equalColumns, boolean narrow) {
            double[] x = random.doubles((long) rows * columns).map(v -> (float) (2 * v - 1)).toArray();
            for (int i = 0; i < x.length; i++) {
                x[i] = equalRows && i >= columns ? x[i - columns] : equalColumns && i % columns > 0 ? x[i - 1] : x[i];
                x[i] = narrow ? Bf16.widen(Bf16.round((float) x[i])) : x[i];
            }
            return x;
        }

        void check(Operands operands) {
            // What the pieces leave out, and a rounding of F32 for each of some dozens of additions.
            double error = operands == Operands.SPLIT_3 ? 0x1p-15 : 0x1p-21;
            for (int i = 0; i < c.length; i++) {
                assertThat((double) c[i]).as("element %d", i).isCloseTo(want[i], Offset.offset(error * (magnitude[i] + 10)));
            }
        }
    }

    private static void check(Operands operands, int rows, int columns, int k, int terms, long seed) {
        Ranges memory = new Ranges();
        Run emulated = Run.of(new EmulatedCode(memory), memory, operands, rows, columns, k, terms, seed);
        emulated.check(operands);
        if (RealCode.hasAmx()) {
            Run real = Run.of(new RealCode(), new Ranges(), operands, rows, columns, k, terms, seed);
            assertThat(real.c).as("the processor's sums").containsExactly(emulated.c);
        }
    }

    private static Stream<Operands> products() {
        return Stream.of(Operands.values()).filter(o -> o.products().length > 0);
    }

    @TestFactory
    Stream<DynamicTest> everyTail() {
        return products().map(o -> DynamicTest.dynamicTest(o.name(), () -> IntStream.rangeClosed(1, 67).forEach(i -> {
            check(o, i, 1 + i * 5 % 64, 1 + i * 7 % 40, i % 12, i);
            check(o, 1 + i * 3 % 35, Math.min(i, 64), i, 0, i);
        })));
    }

    @Property(tries = 40)
    void anyShape(@ForAll @IntRange(min = 0, max = 3) int kind, @ForAll @IntRange(min = 1, max = 100) int rows,
            @ForAll @IntRange(min = 1, max = 64) int columns, @ForAll @IntRange(min = 1, max = 150) int k,
            @ForAll @IntRange(min = 0, max = 11) int terms, @ForAll long seed) {
        check(products().toList().get(kind), rows, columns, k, terms, seed);
    }

    @Test
    void anElementsSumIsTheSameWhateverTileItFallsInto() {
        products().forEach(o -> {
            Ranges memory = new Ranges();
            float[] c = Run.of(new EmulatedCode(memory), memory, o, 57, 59, 70, 0, UNIFORM).c;
            for (float x : c) {
                assertThat(x).isEqualTo(c[0]);
            }
        });
    }
}
