package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.DType;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RowKernelsTest {
    private final Random random = new Random(5);

    @AfterEach
    void free() {
        Buf.freeAll();
    }

    private static void close(double actual, double expected, double tolerance, String name) {
        if (!(Math.abs(actual - expected) <= tolerance)) {
            throw new AssertionError(name + " is " + actual + ", expected " + expected);
        }
    }

    @Test
    void rotaryTurnsPairsAndTurnsThemBack() {
        for (int half = 1; half <= 35; half++) {
            for (boolean interleaved : new boolean[] {false, true}) {
                for (boolean inPlace : new boolean[] {false, true}) {
                    rotary(2, 3, 4, 2 * half + half % 3, 2 * half, interleaved, inPlace);
                }
            }
        }
    }

    private void rotary(int b, int h, int t, int size, int rotated, boolean interleaved, boolean inPlace) {
        int half = rotated / 2;
        Buf x = Buf.random(b * t * h * size, random);
        Buf y = inPlace ? x.copy() : Buf.empty(x.size);
        Heads in = new Heads(inPlace ? y.address() : x.address(), (long) t * h * size, size, (long) h * size);
        Heads out = new Heads(y.address(), (long) t * h * size, size, (long) h * size);
        Buf cos = Buf.empty(b * t * half);
        Buf sin = Buf.empty(b * t * half);
        for (int i = 0; i < cos.size; i++) {
            double angle = random.nextGaussian();
            cos.set(i, (float) Math.cos(angle));
            sin.set(i, (float) Math.sin(angle));
        }
        Rotary.run(in, out, b, h, t, size, rotated, interleaved, false, cos.address(), sin.address(),
                (long) t * half, half);
        for (int row = 0; row < b * t * h; row++) {
            for (int i = 0; i < size; i++) {
                double expected = x.get((long) row * size + i);
                if (i < rotated) {
                    int pair = interleaved ? i / 2 : i % half;
                    int first = interleaved ? 2 * pair : pair;
                    int second = interleaved ? first + 1 : first + half;
                    double u = x.get((long) row * size + first);
                    double v = x.get((long) row * size + second);
                    double c = cos.get((long) row / h * half + pair);
                    double s = sin.get((long) row / h * half + pair);
                    expected = i == first ? u * c - v * s : v * c + u * s;
                }
                close(y.get((long) row * size + i), expected, 1e-6, "y");
            }
        }
        y.assertCanaries();
        Rotary.run(out, out, b, h, t, size, rotated, interleaved, true, cos.address(), sin.address(),
                (long) t * half, half);
        for (int i = 0; i < x.size; i++) {
            close(y.get(i), x.get(i), 2e-6, "x");
        }
    }

    @Test
    void adamWFollowsItsFormula() {
        for (int n : new int[] {1, 15, 16, 17, 63, 5000, 40_001}) {
            Buf p = Buf.random(n, random);
            Buf g = Buf.random(n, random);
            Buf m = Buf.zeros(n);
            Buf v = Buf.zeros(n);
            double[] eP = new double[n];
            double[] eM = new double[n];
            double[] eV = new double[n];
            for (int i = 0; i < n; i++) {
                eP[i] = p.get(i);
            }
            for (int step = 1; step <= 3; step++) {
                AdamW.step(p.address(), g.address(), m.address(), v.address(), n, step, 0.01, 0.9, 0.999, 1e-8, 0.1);
                for (int i = 0; i < n; i++) {
                    eP[i] *= 1 - 0.01 * 0.1;
                    eM[i] = 0.9 * eM[i] + 0.1 * g.get(i);
                    eV[i] = 0.999 * eV[i] + 0.001 * g.get(i) * g.get(i);
                    eP[i] -= 0.01 / (1 - Math.pow(0.9, step)) * eM[i]
                            / (Math.sqrt(eV[i]) / Math.sqrt(1 - Math.pow(0.999, step)) + 1e-8);
                }
            }
            for (int i = 0; i < n; i++) {
                close(p.get(i), eP[i], 1e-6 * Math.max(1, Math.abs(eP[i])), "p");
                close(m.get(i), eM[i], 1e-6, "m");
                close(v.get(i), eV[i], 1e-6, "v");
            }
            p.assertCanaries();
            v.assertCanaries();
        }
    }

    @Test
    void rowsAreGatheredAndScatteredByNumber() {
        for (int n = 1; n <= 67; n += 3) {
            int rows = 11;
            int count = 300;
            for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
                Buf table = Buf.random(rows * (n + 1), random);
                Buf stored = type == DType.F32 ? table : type == DType.BF16 ? table.toBf16() : table.toF16();
                Buf indices = Buf.empty(2 * count);
                Buf target = Buf.zeros(rows * n);
                double[] expected = new double[rows * n];
                boolean wide = n % 2 == 0;
                int[] index = random.ints(count, 0, rows).toArray();
                for (int i = 0; i < count; i++) {
                    if (wide) {
                        Mem.i64(indices.address() + 8L * i, index[i]);
                    } else {
                        Mem.i32(indices.address() + 4L * i, index[i]);
                    }
                }
                Buf out = Buf.empty(count * n);
                RowGather.gather(stored.address(), type, n + 1, rows, n, indices.address(), wide, count,
                        out.address());
                RowGather.scatterAdd(out.address(), indices.address(), wide, count, n, target.address(), n, rows);
                for (int i = 0; i < count; i++) {
                    for (int j = 0; j < n; j++) {
                        assertThat(out.get((long) i * n + j)).isEqualTo(table.get((long) index[i] * (n + 1) + j));
                        expected[index[i] * n + j] += out.get((long) i * n + j);
                    }
                }
                for (int i = 0; i < expected.length; i++) {
                    close(target.get(i), expected[i], 1e-4, "target");
                }
                out.assertCanaries();
                target.assertCanaries();
            }
        }
        Buf indices = Buf.empty(2);
        Mem.i64(indices.address(), 7);
        assertThatThrownBy(() -> RowGather.gather(0, DType.F32, 1, 7, 1, indices.address(), true, 1, 0))
                .isInstanceOf(IndexOutOfBoundsException.class).hasMessageContaining("row 7 of a table of 7");
    }

    @Test
    void everyHalfAndEveryBfloat16BecomesTheRightFloatAndComesBack() {
        Buf half = Buf.empty(32768);
        Buf wide = Buf.empty(65536);
        Buf back = Buf.empty(32768);
        for (int i = 0; i < 65536; i++) {
            Mem.i16(half.address() + 2L * i, (short) i);
        }
        assertThat(Convert.run(DType.F16, half.address(), DType.F32, wide.address(), 65536)).isTrue();
        assertThat(Convert.run(DType.F32, wide.address(), DType.F16, back.address(), 65536)).isTrue();
        for (int i = 0; i < 65536; i++) {
            assertThat(Float.compare(wide.get(i), Float.float16ToFloat((short) i))).as("half %x", i).isZero();
            if (!Float.isNaN(wide.get(i))) {
                assertThat(Mem.i16(back.address() + 2L * i)).isEqualTo((short) i);
            }
        }
        assertThat(Convert.run(DType.BF16, half.address(), DType.F32, wide.address(), 65536)).isTrue();
        assertThat(Convert.run(DType.F32, wide.address(), DType.BF16, back.address(), 65536)).isTrue();
        for (int i = 0; i < 65536; i++) {
            assertThat(Mem.i32(wide.address(i))).isEqualTo(i << 16);
            if (!Float.isNaN(wide.get(i))) {
                assertThat(Mem.i16(back.address() + 2L * i)).isEqualTo((short) i);
            }
        }
        wide.assertCanaries();
        back.assertCanaries();
    }

    @Test
    void bfloat16RoundsToNearestEvenAndKeepsNan() {
        int[] bits = {0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0x7f800000, 0xff800000,
            0x7f800001, 0x7fffffff, 0xffffffff, 0x00008000, 0x80018000, 0x7f7f7fff};
        int[] expected = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x3f80, 0x7f80, 0x7f80, 0xff80, 0x7fc0, 0x7fff, 0xffff, 0x0000,
            0x8002, 0x7f7f};
        for (int repeat = 1; repeat <= 3; repeat++) {
            int n = bits.length * repeat;
            Buf from = Buf.empty(n);
            Buf to = Buf.empty(n);
            for (int i = 0; i < n; i++) {
                Mem.i32(from.address(i), bits[i % bits.length]);
            }
            Convert.f32ToBf16(from.address(), to.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(Mem.i16(to.address() + 2L * i)).as("%x", bits[i % bits.length])
                        .isEqualTo((short) expected[i % bits.length]);
            }
            assertThat(to.untouched(n - n / 2 + 1)).isTrue();
        }
    }

    @Test
    void otherConversionsTakeEveryLength() {
        for (int n = 0; n <= 67; n++) {
            Buf x = Buf.random(n, random);
            Buf doubles = Buf.empty(2 * n);
            Buf back = Buf.empty(n);
            Convert.run(DType.F32, x.address(), DType.F64, doubles.address(), n);
            Convert.run(DType.F64, doubles.address(), DType.F32, back.address(), n);
            Buf copy = Buf.empty(n);
            Convert.run(DType.F32, x.address(), DType.F32, copy.address(), n);
            Buf half = Buf.empty(n / 2 + 1);
            Convert.run(DType.F32, x.address(), DType.F16, half.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(Mem.f64(doubles.address() + 8L * i)).isEqualTo(x.get(i));
                assertThat(back.get(i)).isEqualTo(x.get(i));
                assertThat(copy.get(i)).isEqualTo(x.get(i));
                assertThat(Mem.i16(half.address() + 2L * i)).isEqualTo(Float.floatToFloat16(x.get(i)));
            }
            Convert.run(DType.I32, x.address(), DType.I64, doubles.address(), n);
            Convert.run(DType.I64, doubles.address(), DType.I32, copy.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(Mem.i64(doubles.address() + 8L * i)).isEqualTo(Mem.i32(x.address(i)));
                assertThat(copy.get(i)).isEqualTo(x.get(i));
            }
            back.assertCanaries();
            doubles.assertCanaries();
            copy.assertCanaries();
            half.assertCanaries();
        }
        assertThat(Convert.run(DType.I8, 0, DType.F32, 0, 1)).isFalse();
    }
}
