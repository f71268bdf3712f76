package dev.jotune.kernels.x86;

import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;
import static dev.jotune.kernels.x86.asm.Reg.RSI;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Mem;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/**
 * What this machine's processor and system allow, asked once with emitted code.
 *
 * @param features what may be used: the processor has it, and the system saves its registers
 * @param note     why nothing, or no AMX, may be used; empty if all may
 * @param levelOne bytes of a core's data cache of the first level, 0 if unknown
 * @param levelTwo bytes of a core's cache of the second level, 0 if unknown
 */
record Processor(Set<Feature> features, String note, int levelOne, int levelTwo) {
    /** Arguments of the system call that allows a process the tiles' state; it must come before the first tile instruction. */
    private static final long ARCH_PRCTL = 158;
    private static final long REQUEST_PERMISSION = 0x1023;
    private static final long TILE_DATA = 18;

    /** Bits of the control register that say which registers the system saves. */
    private static final long AVX512_STATE = 0xe6;
    private static final long TILE_STATE = 0x60000;

    private static final class Holder {
        static final Processor CURRENT = detect(System.getProperty("os.name"), System.getProperty("os.arch"));
    }

    /** The processor this runs on. */
    static Processor current() {
        return Holder.CURRENT;
    }

    boolean has(Feature... wanted) {
        return features.containsAll(Arrays.asList(wanted));
    }

    static Processor detect(String os, String architecture) {
        if (!os.toLowerCase(Locale.ROOT).equals("linux") || !architecture.equals("amd64") && !architecture.equals("x86_64")) {
            return none("it is made for Linux on x86-64, and this is " + os + " on " + architecture);
        }
        try (Arena arena = Arena.ofConfined()) {
            Questions ask = new Questions(arena);
            boolean saves = (ask.cpuid(1, 0)[2] >>> 27 & 1) != 0;
            long state = saves ? ask.savedState() : 0;
            return found(ask, state);
        } catch (CodeRefusedException e) {
            return none(e.getMessage());
        }
    }

    private static Processor none(String note) {
        return new Processor(Set.of(), note, 0, 0);
    }

    private static Processor found(Questions ask, long state) {
        EnumSet<Feature> features = EnumSet.noneOf(Feature.class);
        int leaves = ask.cpuid(0, 0)[0];
        int subLeaves = leaves >= 7 ? ask.cpuid(7, 0)[0] : -1;
        for (Feature f : Feature.values()) {
            if (f.leaf <= leaves && f.subLeaf <= subLeaves && (ask.cpuid(f.leaf, f.subLeaf)[f.register] >>> f.bit & 1) != 0) {
                features.add(f);
            }
        }
        String note = features.contains(Feature.AVX512F) ? "" : "the processor has no AVX-512";
        if (note.isEmpty() && (state & AVX512_STATE) != AVX512_STATE) {
            note = "the system does not save AVX-512 registers";
        }
        if (!note.isEmpty()) {
            return none(note);
        }
        String amx = amx(features, state);
        if (!amx.isEmpty()) {
            features.removeIf(Feature::isAmx);
            note = "no AMX: " + amx;
        }
        int[] caches = ask.caches();
        return new Processor(Collections.unmodifiableSet(features), note, caches[0], caches[1]);
    }

    /** Why tiles may not be used; asks for permission if nothing else is in the way. */
    private static String amx(Set<Feature> features, long state) {
        if (!features.contains(Feature.AMX_TILE)) {
            return "the processor has none";
        }
        if ((state & TILE_STATE) != TILE_STATE) {
            return "the system does not save tile registers";
        }
        Linker linker = Linker.nativeLinker();
        MethodHandle call = linker.downcallHandle(linker.defaultLookup().findOrThrow("syscall"),
                FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG), Linker.Option.firstVariadicArg(1));
        try {
            long answer = (long) call.invokeExact(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA);
            return answer == 0 ? "" : "the kernel does not permit it to this process";
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /** Emitted code that asks the processor about itself. */
    private static final class Questions {
        private final MemorySegment answer;
        private final MethodHandle cpuid;
        private final MethodHandle xgetbv;

        Questions(Arena arena) {
            answer = arena.allocate(16, 16);
            Assembler a = new Assembler();
            a.push(RBX);
            a.mov(R8, RDX);
            a.mov(RAX, RDI);
            a.mov(RCX, RSI);
            a.cpuid();
            a.mov32(Mem.at(R8, 0), RAX);
            a.mov32(Mem.at(R8, 4), RBX);
            a.mov32(Mem.at(R8, 8), RCX);
            a.mov32(Mem.at(R8, 12), RDX);
            a.pop(RBX);
            a.ret();
            cpuid = NativeCode.of(a, arena).handle(FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, JAVA_LONG));
            Assembler b = new Assembler();
            b.xor(RCX, RCX);
            b.xgetbv();
            b.shl(RDX, 32);
            b.or(RAX, RDX);
            b.ret();
            xgetbv = NativeCode.of(b, arena).handle(FunctionDescriptor.of(JAVA_LONG));
        }

        /** EAX, EBX, ECX, EDX. */
        int[] cpuid(long leaf, long subLeaf) {
            try {
                cpuid.invokeExact(leaf, subLeaf, answer.address());
                return answer.toArray(JAVA_INT);
            } catch (Throwable e) {
                throw new IllegalStateException(e);
            }
        }

        long savedState() {
            try {
                return (long) xgetbv.invokeExact();
            } catch (Throwable e) {
                throw new IllegalStateException(e);
            }
        }

        /** Bytes of the first level's data cache and of the second level's: leaf 4, or AMD's leaf of the same form. */
        int[] caches() {
            int[] bytes = new int[2];
            long leaf = cpuid(4, 0)[0] != 0 ? 4 : cpuid(0x8000_0000L, 0)[0] >= 0x8000_001d ? 0x8000_001dL : 0;
            for (int i = 0; leaf != 0 && i < 8; i++) {
                int[] r = cpuid(leaf, i);
                int type = r[0] & 31;
                int level = r[0] >>> 5 & 7;
                int size = ((r[1] >>> 22) + 1) * ((r[1] >>> 12 & 1023) + 1) * ((r[1] & 4095) + 1) * (r[2] + 1);
                if (type == 1 && level == 1) {
                    bytes[0] = size;
                } else if (type != 0 && type != 2 && level == 2) {
                    bytes[1] = size;
                }
            }
            return bytes;
        }
    }
}
