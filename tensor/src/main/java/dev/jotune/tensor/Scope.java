package dev.jotune.tensor;

import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Frees what a step made.
 *
 * <pre>{@code
 * try (var step = Scope.open()) {
 *     Tensor y = ...;          // freed at the end of the block
 *     step.keep(y);            // ... unless kept: then it belongs to the enclosing scope, or to the collector
 * }
 * }</pre>
 *
 * <p>Scopes nest and belong to the thread that opened them; they must be closed in reverse order, which
 * try-with-resources does.
 */
public final class Scope implements AutoCloseable {
    private static final ThreadLocal<Scope> CURRENT = new ThreadLocal<>();

    private final Scope parent;
    private final Thread owner = Thread.currentThread();
    private final Map<Storage, Boolean> storages = new IdentityHashMap<>();
    private boolean closed;

    private Scope(Scope parent) {
        this.parent = parent;
    }

    /** Opens a scope on this thread. */
    public static Scope open() {
        Scope s = new Scope(CURRENT.get());
        CURRENT.set(s);
        return s;
    }

    /** Lets {@code storage} be freed by the innermost open scope of this thread, if there is one. */
    static void adopt(Storage storage) {
        Scope s = CURRENT.get();
        if (s != null) {
            s.storages.put(storage, Boolean.TRUE);
        }
    }

    /** Lets {@code tensor}'s memory outlive this scope: it then belongs to the enclosing one. Returns the tensor. */
    public Tensor keep(Tensor tensor) {
        if (storages.remove(tensor.storage()) != null && parent != null) {
            parent.storages.put(tensor.storage(), Boolean.TRUE);
        }
        return tensor;
    }

    /** Lets everything that this scope still owns outlive it, as {@link #keep} does. */
    public void keepAll() {
        if (parent != null) {
            parent.storages.putAll(storages);
        }
        storages.clear();
    }

    /** Whether {@code tensor}'s memory belongs to this scope. */
    public boolean owns(Tensor tensor) {
        return storages.containsKey(tensor.storage());
    }

    /** Takes {@code tensor}'s memory out of every open scope of this thread: it lives as long as it is reachable. */
    public static Tensor detach(Tensor tensor) {
        for (Scope s = CURRENT.get(); s != null; s = s.parent) {
            s.storages.remove(tensor.storage());
        }
        return tensor;
    }

    /** Frees {@code tensor}'s memory now, ahead of its scope. */
    public static void free(Tensor tensor) {
        for (Scope s = CURRENT.get(); s != null; s = s.parent) {
            if (s.storages.remove(tensor.storage()) != null) {
                tensor.storage().free();
                return;
            }
        }
    }

    /** Frees {@code tensor}'s memory now if it belongs to this scope. */
    public void freeIfOwned(Tensor tensor) {
        if (storages.remove(tensor.storage()) != null) {
            tensor.storage().free();
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (Thread.currentThread() != owner || CURRENT.get() != this) {
            throw new IllegalStateException("scopes must be closed by their own thread, innermost first");
        }
        closed = true;
        CURRENT.set(parent);
        storages.keySet().forEach(Storage::free);
        storages.clear();
    }
}
