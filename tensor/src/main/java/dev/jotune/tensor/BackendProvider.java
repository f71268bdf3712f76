package dev.jotune.tensor;

import java.util.List;

/** Found with {@link java.util.ServiceLoader}: offers the backends of one kind of device. */
public interface BackendProvider {
    /** The kind: {@code cpu}, {@code cuda}. */
    String kind();

    /** The larger, the sooner it is the default. The reference backend is negative: never chosen on its own. */
    int priority();

    /** The backends that work on this machine, one for each device; empty if there are none. */
    List<Backend> backends();

    /** Why {@link #backends()} is empty or limited, for {@code jotune devices}; empty text if all is well. */
    String note();
}
