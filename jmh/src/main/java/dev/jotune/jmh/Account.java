package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FusedKernel;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where the time and the memory of a step go: a backend that notes what it is asked for, by whom, how long it took and
 * how much memory is live at the time.
 *
 * <p>Time that no entry has is Java's own: the tape, allocation, waiting.
 */
public final class Account {
    private static final List<String> MACHINERY = List.of("Account", "Proxy", "Tensor", "Var", "Primitives", "MapOp", "HostCopy", "Fused",
            "Node", "Lookup", "InPlace", "Types");

    /** One kind of call. */
    private static final class Entry {
        private long calls;
        private long nanos;
        private long bytes;
    }

    private final Map<String, Entry> entries = new HashMap<>();
    private final Map<Object, Object> kernels = new HashMap<>();
    private final Backend inner;
    private final Backend counting;

    public Account(Backend inner) {
        this.inner = inner;
        this.counting = (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class},
                (proxy, method, args) -> switch (method.getName()) {
                    case "kernel" -> kernel((Class<?>) args[0]);
                    case "name", "description", "toString", "hashCode" -> method.invoke(inner, args);
                    case "equals" -> proxy == args[0];
                    case "adopt" -> ((Tensor) args[0]).viewOn((Backend) proxy);
                    case "map" -> args.length == 3 && args[0] instanceof java.lang.foreign.MemorySegment
                            ? ((Tensor) method.invoke(inner, args)).viewOn((Backend) proxy) : timed(inner, method, args);
                    default -> timed(inner, method, args);
                });
    }

    /** The backend to build a model on. */
    public Backend backend() {
        return counting;
    }

    /** Forgets what was noted. */
    public void reset() {
        entries.clear();
    }

    private Optional<?> kernel(Class<?> kind) {
        return inner.kernel(kind.asSubclass(FusedKernel.class)).map(k -> kernels.computeIfAbsent(k, key -> Proxy.newProxyInstance(
                kind.getClassLoader(), new Class<?>[] {kind}, (proxy, method, args) -> timed(key, method, args))));
    }

    private Object timed(Object target, java.lang.reflect.Method method, Object[] args) throws Throwable {
        String name = method.getName() + shapes(args) + " " + caller();
        long live = HostMemory.bytesInUse();
        long start = System.nanoTime();
        try {
            return method.invoke(target, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        } finally {
            Entry e = entries.computeIfAbsent(name, n -> new Entry());
            e.calls++;
            e.nanos += System.nanoTime() - start;
            e.bytes = Math.max(e.bytes, live);
        }
    }

    private static String shapes(Object[] args) {
        return args == null ? "" : Arrays.stream(args).flatMap(a -> a instanceof Tensor[] ts ? Arrays.stream(ts) : Stream.of(a))
                .filter(Tensor.class::isInstance).map(t -> Arrays.toString(((Tensor) t).shape())).toList().toString();
    }

    private static String caller() {
        return StackWalker.getInstance().walk(frames -> frames.filter(f -> f.getClassName().startsWith("dev.jotune"))
                .filter(f -> MACHINERY.stream().noneMatch(m -> simple(f).startsWith(m)))
                .findFirst().map(f -> simple(f) + "." + f.getMethodName()).orElse("?"));
    }

    private static String simple(StackWalker.StackFrame f) {
        return f.getClassName().substring(f.getClassName().lastIndexOf('.') + 1);
    }

    /** The costliest entries, then the rest in one line. */
    public String report(int lines, double seconds) {
        StringBuilder out = new StringBuilder();
        List<Map.Entry<String, Entry>> all = entries.entrySet().stream()
                .sorted(Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().nanos).reversed()).toList();
        double sum = 0;
        for (int i = 0; i < all.size(); i++) {
            Entry e = all.get(i).getValue();
            sum += e.nanos / 1e6;
            if (i < lines) {
                out.append(String.format(Locale.ROOT, "%8.1f ms %6d x %6d MB live  %s%n", e.nanos / 1e6, e.calls, e.bytes >> 20,
                        all.get(i).getKey()));
            }
        }
        out.append(String.format(Locale.ROOT, "%8.1f ms in operations of %.1f ms%n", sum, seconds * 1e3));
        return out.toString();
    }
}
