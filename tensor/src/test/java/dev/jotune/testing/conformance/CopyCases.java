package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.conformance.Twin.Layout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Filling, copying between layouts and types, and getting data in and out. */
final class CopyCases {
    private static final long[][] SHAPES = {{}, {1}, {0}, {17}, {3, 5}, {7, 16}, {2, 3, 33}, {4, 0, 3}, {2, 1, 65}, {1, 5, 1}};
    /** Signs of zero, halves that tie, what overflows or vanishes in 16 bits. */
    private static final double[] SPECIAL = {0, -0.0, 1, -1, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN, 65504,
        65519, 65520, 1e30, -1e30, 1e-30, 6e-8, 3e-8, 5.96e-8, 1.00048828125, 1.00146484375, 1.00390625, 1.01171875, 3.4e38, 1e-40};

    private CopyCases() {}

    static void add(List<Case> all) {
        for (DType from : DType.values()) {
            for (DType to : DType.values()) {
                all.add(new Case("copy/" + from + " to " + to, b -> copy(b, from, to)));
            }
            all.add(new Case("fill/" + from, b -> fill(b, from)));
            all.add(new Case("read and write/" + from, b -> inAndOut(b, from)));
        }
        for (DType from : floating()) {
            for (DType to : floating()) {
                all.add(new Case("copy/special values, " + from + " to " + to, b -> special(b, from, to)));
            }
        }
        all.add(new Case("copy/integers beyond 2^53", CopyCases::longs));
        all.add(new Case("map foreign memory", CopyCases::foreign));
    }

    private static List<DType> floating() {
        return List.of(DType.F64, DType.F32, DType.F16, DType.BF16);
    }

    /** Small numbers, with fractions only where both types have them. */
    private static double value(long i, boolean fractions) {
        return fractions ? (i * 37 % 201 - 100) / 16.0 : i * 37 % 101;
    }

    private static void copy(Backend b, DType from, DType to) {
        boolean fractions = from.isFloating() && to.isFloating();
        for (long[] shape : SHAPES) {
            for (Layout in : Layout.values()) {
                Twin source = Twin.of(b, from, in, i -> value(i, fractions), shape);
                for (Layout out : Layout.values()) {
                    if (Twin.writable(out)) {
                        Twin target = Twin.of(b, to, out, i -> 1, shape);
                        double[] before = target.memory();
                        b.copy(source.tested(), target.tested());
                        String what = in + " to " + out;
                        Tensor want = to == DType.BOOL ? nonZero(source.reference()) : source.reference();
                        new Twin(target.tested(), want).compare(what, 0);
                        target.checkSurroundings(what, before);
                    }
                }
            }
        }
    }

    private static Tensor nonZero(Tensor t) {
        double[] v = t.toDoubleArray();
        for (int i = 0; i < v.length; i++) {
            v[i] = v[i] != 0 ? 1 : 0;
        }
        return Tensor.of(t.backend(), DType.F64, v, t.shape());
    }

    private static void special(Backend b, DType from, DType to) {
        Tensor source = Tensor.of(b, from, SPECIAL, SPECIAL.length);
        Tensor target = Tensor.empty(b, to, SPECIAL.length);
        b.copy(source, target);
        double[] rounded = source.toDoubleArray();
        double[] want = Tensor.of(b, to, rounded, rounded.length).toDoubleArray();
        double[] got = target.toDoubleArray();
        for (int i = 0; i < want.length; i++) {
            if (Double.compare(got[i], want[i]) != 0) {
                throw new AssertionError(rounded[i] + " became " + got[i] + ", expected " + want[i]);
            }
        }
    }

    private static void longs(Backend b) {
        long[] values = {Long.MAX_VALUE, Long.MIN_VALUE, (1L << 53) + 1, -1};
        Tensor source = Tensor.of(b, values, 2, 2).transpose(0, 1);
        long[] got = source.copy().toLongArray();
        if (got[0] != values[0] || got[1] != values[2] || got[2] != values[1] || got[3] != values[3]) {
            throw new AssertionError("64-bit integers did not survive a copy");
        }
    }

    private static void fill(Backend b, DType type) {
        for (long[] shape : SHAPES) {
            for (Layout layout : Layout.values()) {
                Twin target = Twin.of(b, type, layout, i -> 1, shape);
                double[] before = target.memory();
                b.fill(target.tested(), type == DType.BOOL ? 0 : 3);
                target.reference().backend().fill(target.reference(), type == DType.BOOL ? 0 : 3);
                target.compare(layout + "", 0);
                target.checkSurroundings(layout + "", before);
            }
        }
    }

    private static void inAndOut(Backend b, DType type) {
        Twin t = Twin.of(b, type, Layout.DENSE, i -> value(i, false), 5, 7);
        long bytes = t.tested().numel() * type.byteSize();
        MemorySegment host = HostMemory.allocate(bytes).host();
        b.read(t.tested(), host);
        Tensor again = Tensor.empty(b, type, 5, 7);
        b.write(again, host);
        new Twin(again, t.tested()).compare("through host memory", 0);
        Tensor rows = t.tested().slice(0, 2, 4);
        b.read(rows, host.asSlice(0, bytes * 2 / 5));
        Tensor part = Tensor.zeros(b, type, 5, 7);
        b.write(part.slice(0, 1, 3), host.asSlice(0, bytes * 2 / 5));
        new Twin(part.slice(0, 1, 3), rows).compare("rows through host memory", 0);
        new Twin(b.adopt(t.reference()), t.reference()).compare("adopted", 0);
    }

    private static void foreign(Backend b) {
        MemorySegment memory = MemorySegment.ofBuffer(java.nio.ByteBuffer.allocateDirect(40));
        for (int i = 0; i < 10; i++) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, i / 4f);
        }
        double[] got = b.map(memory.asSlice(4, 24), DType.F32, 2, 3).toDoubleArray();
        for (int i = 0; i < 6; i++) {
            if (got[i] != (i + 1) / 4f) {
                throw new AssertionError("element " + i + " of mapped memory is " + got[i]);
            }
        }
    }
}
