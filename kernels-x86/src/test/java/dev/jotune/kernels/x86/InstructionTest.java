package dev.jotune.kernels.x86;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Emulator;
import dev.jotune.kernels.x86.asm.Evex;
import dev.jotune.kernels.x86.asm.Probe;
import dev.jotune.kernels.x86.asm.Probe.Masking;
import dev.jotune.kernels.x86.asm.Probe.Source;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Every vector instruction computes in the processor what its description in Java computes, on every width, from
 * registers, memory and spread elements, under every kind of mask. A processor without one is asked for the others.
 */
class InstructionTest {
    private static final float[] SPECIAL = {0f, -0f, 1f, -1f, Float.MIN_NORMAL, Float.MIN_VALUE, -1e-41f, 3e38f, -3e38f, Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY, 0.5f, 1.5f, 2.5f, -2.5f, 2147483648f, -2147483648f, 65504f, 1e-30f};

    @TestFactory
    Stream<DynamicTest> inEveryForm() {
        return Stream.of(Evex.values()).map(op -> DynamicTest.dynamicTest(op.name(), () -> {
            int done = 0;
            for (int bits = 128; bits <= 512; bits *= 2) {
                for (Source source : Source.values()) {
                    for (Masking masking : Masking.values()) {
                        Probe p = new Probe(op, bits, source, masking, 0x2d + 16 * done & (op == Evex.VRNDSCALEPS ? 0x33 : 0xff));
                        if (p.exists()) {
                            compare(p, done, 10);
                            done++;
                        }
                    }
                }
            }
            assertThat(done).isPositive();
        }));
    }

    @Property(tries = 300)
    void onRandomNumbers(@ForAll Evex op, @ForAll @IntRange(min = 0, max = 2) int width, @ForAll Source source, @ForAll Masking masking,
            @ForAll @IntRange(min = 0, max = 255) int immediate, @ForAll long seed) throws Throwable {
        Probe p = new Probe(op, 128 << width, source, masking, op == Evex.VRNDSCALEPS ? immediate & 0x33 : immediate);
        if (p.exists()) {
            compare(p, seed, 5);
        }
    }

    private static void compare(Probe probe, long seed, int rounds) throws Throwable {
        byte[] code = probe.code();
        Random random = new Random(seed);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment emulated = arena.allocate(Probe.BLOCK, 64);
            MemorySegment real = arena.allocate(Probe.BLOCK, 64);
            boolean here = isHere(probe.op());
            var call = here ? Linker.nativeLinker().downcallHandle(CodeMemory.install(code, arena), FunctionDescriptor.ofVoid(JAVA_LONG)) : null;
            for (int round = 0; round < rounds; round++) {
                fill(emulated, random, round % 3);
                real.copyFrom(emulated);
                byte[] before = emulated.toArray(JAVA_BYTE);
                Emulator.run(code, emulated.address());
                assertThat(emulated.asSlice(0, 256).toArray(JAVA_BYTE)).isEqualTo(Arrays.copyOf(before, 256));
                if (!here) {
                    continue;
                }
                call.invokeExact(real.address());
                for (int i = 0; i < Probe.BLOCK; i += 4) {
                    int x = emulated.get(JAVA_INT, i);
                    int y = real.get(JAVA_INT, i);
                    boolean bothNaN = probe.isFloat() && Float.isNaN(Float.intBitsToFloat(x)) && Float.isNaN(Float.intBitsToFloat(y));
                    if (x != y && !bothNaN) {
                        assertThat(Integer.toHexString(y)).as("%s, byte %d; target %s, sources %s and %s", probe, i, hex(emulated, i % 64),
                                hex(emulated, 64 + i % 64), hex(emulated, 128 + i % 64)).isEqualTo(Integer.toHexString(x));
                    }
                }
            }
        }
    }

    private static String hex(MemorySegment block, int place) {
        return Integer.toHexString(block.get(JAVA_INT, place));
    }

    /** Random bits, ordinary numbers, or numbers at the edges of what there is. */
    private static void fill(MemorySegment block, Random random, int kind) {
        for (int i = 0; i < 192; i += 4) {
            switch (kind) {
                case 0 -> block.set(JAVA_INT, i, random.nextInt());
                case 1 -> block.set(JAVA_FLOAT, i, (float) random.nextGaussian());
                default -> {
                    float x = SPECIAL[random.nextInt(SPECIAL.length)];
                    if (random.nextBoolean()) {
                        block.set(JAVA_FLOAT, i, x);
                    } else {
                        block.set(JAVA_SHORT, i, (short) (Float.floatToRawIntBits(x) >>> 16));
                        block.set(JAVA_SHORT, i + 2, (short) (Float.floatToRawIntBits(SPECIAL[random.nextInt(SPECIAL.length)]) >>> 16));
                    }
                }
            }
        }
        block.set(JAVA_LONG, 192, random.nextLong());
        for (int i = 200; i < Probe.BLOCK; i += 4) {
            block.set(JAVA_INT, i, 0x5a5a5a5a);
        }
    }

    private static boolean isHere(Evex op) {
        Processor p = Processor.current();
        Feature feature = op.name().contains("BF16") ? Feature.AVX512_BF16 : op.name().startsWith("VPDP") ? Feature.AVX512_VNNI
                : op == Evex.VPERMB ? Feature.AVX512_VBMI : Feature.AVX512F;
        return p.has(Feature.AVX512F, Feature.AVX512DQ, Feature.AVX512BW, Feature.AVX512VL) && p.has(feature);
    }
}
