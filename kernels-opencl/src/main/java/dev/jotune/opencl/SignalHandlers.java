package dev.jotune.opencl;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * Puts the JVM's signal handlers back where a driver has replaced them. LLVM, within a driver that compiles in this process (PoCL), sets its
 * own with the first program. When a signal comes, they delete the files that the compiler is writing, and put back what was there before;
 * while they do, the system's default action stands. But SIGSEGV is a part of the JVM's normal running (null checks, safepoints): so programs
 * fail to compile for want of a file, and two threads that meet one at the same time end the process, without a log.
 *
 * <p>LLVM sets them once, so that once is enough. Until they are found, which takes some tens of microseconds, the danger stays; what excludes
 * it is the JDK's {@code libjsig.so}, loaded before anything else ({@code LD_PRELOAD}, as the launcher does).
 *
 * <p>It knows Linux's {@code struct sigaction} of 64-bit processors (sigaction(2)), and does nothing elsewhere.
 */
final class SignalHandlers {
    private static final System.Logger LOG = System.getLogger("dev.jotune.opencl");
    private static final int SIGKILL = 9;
    private static final int SIGSEGV = 11;
    private static final int SIGSTOP = 19;
    private static final int SIGNALS = 31;
    /** {@code struct sigaction}: the handler, a mask of 1024 bits, the flags, and the restorer. */
    private static final long SIZE = 152;
    private static final long FLAGS = 136;
    /** SA_RESETHAND: for one signal only. */
    private static final int ONCE = 0x8000_0000;
    private static final long PAUSE_NANOS = 20_000;
    /** The system's own function, also where libjsig stands before it: what it says is so. */
    private static final Optional<MethodHandle> SIGACTION = !System.getProperty("os.name").equals("Linux") ? Optional.empty()
            : Linker.nativeLinker().defaultLookup().find("sigaction").map(f -> Linker.nativeLinker().downcallHandle(f,
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG)));

    /** As they were when this class was first used: before any driver was loaded. */
    private static final MemorySegment BEFORE = all();
    private static final MemorySegment NOW = Arena.global().allocate(SIZE, 16);

    /** Whether a driver has replaced them once. */
    private static volatile boolean found;

    private SignalHandlers() {}

    /** Remembers them; to be called before the first driver is loaded. */
    static void remember() {
        // The class does when it is initialised.
    }

    /** Runs what may make a driver replace them; a thread of its own looks meanwhile, until it has found them replaced. */
    static <T> T during(Supplier<T> work) {
        if (SIGACTION.isEmpty() || found) {
            return work.get();
        }
        AtomicBoolean over = new AtomicBoolean();
        Thread.ofPlatform().daemon().name("jotune-opencl-signals").start(() -> {
            while (!over.get() && !found) {
                keep();
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        });
        try {
            return work.get();
        } finally {
            over.set(true);
            keep();
        }
    }

    /** Puts back what a driver has replaced by a handler for one signal. */
    private static synchronized void keep() {
        if (SIGACTION.isEmpty() || !isReplaced(SIGSEGV)) {
            return;
        }
        // First of all.
        call(SIGSEGV, BEFORE.address() + SIZE * SIGSEGV, 0);
        for (int signal = 1; signal <= SIGNALS; signal++) {
            if (isChangeable(signal) && isReplaced(signal)) {
                call(signal, BEFORE.address() + SIZE * signal, 0);
            }
        }
        if (!found) {
            found = true;
            LOG.log(System.Logger.Level.WARNING, "The OpenCL driver has replaced the JVM's signal handlers; they are back. For the moment between, "
                    + "in which a thread can end the process, start Java with LD_PRELOAD=" + System.getProperty("java.home") + "/lib/libjsig.so");
        }
    }

    private static boolean isReplaced(int signal) {
        call(signal, 0, NOW.address());
        return (NOW.get(ValueLayout.JAVA_INT, FLAGS) & ONCE) != 0 && (BEFORE.get(ValueLayout.JAVA_INT, SIZE * signal + FLAGS) & ONCE) == 0;
    }

    private static boolean isChangeable(int signal) {
        return signal != SIGKILL && signal != SIGSTOP;
    }

    private static MemorySegment all() {
        MemorySegment actions = Arena.global().allocate(SIZE * (SIGNALS + 1), 16);
        for (int signal = 1; signal <= SIGNALS; signal++) {
            if (SIGACTION.isPresent() && isChangeable(signal)) {
                call(signal, 0, actions.address() + SIZE * signal);
            }
        }
        return actions;
    }

    /** @return the address of the function that SIGSEGV calls now, for tests; none on other systems */
    static synchronized Optional<Long> handler() {
        if (SIGACTION.isEmpty()) {
            return Optional.empty();
        }
        call(SIGSEGV, 0, NOW.address());
        return Optional.of(NOW.get(ValueLayout.JAVA_LONG, 0));
    }

    private static void call(int signal, long action, long before) {
        try {
            // Refused is only a signal that does not exist, which is then left alone.
            int refused = (int) SIGACTION.orElseThrow().invokeExact(signal, action, before);
        } catch (Throwable e) {
            throw new IllegalStateException("sigaction failed", e);
        }
    }
}
