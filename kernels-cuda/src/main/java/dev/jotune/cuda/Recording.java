package dev.jotune.cuda;

import dev.jotune.kernel.DeviceStorage;
import dev.jotune.kernel.MemoryReserve;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/** What a thread records: where launches go meanwhile, where memory comes from, and which memory the record refers to. */
final class Recording {
    private final DeviceStream device;
    private final Handles.Stream stream;
    private final MemoryReserve<Handles.Block> reserve;
    private final Set<DeviceStorage<Handles.Block>> own = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Set<DeviceStorage<Handles.Block>> foreign = Collections.newSetFromMap(new IdentityHashMap<>());

    Recording(DeviceStream device, Handles.Stream stream, MemoryReserve<Handles.Block> reserve) {
        this.device = device;
        this.stream = stream;
        this.reserve = reserve;
    }

    /** Where launches for {@code asked} go. */
    Handles.Stream stream(DeviceStream asked) {
        if (asked != device) {
            throw new IllegalStateException("This thread records work of another device. Use one device within recorded work.");
        }
        return stream;
    }

    DeviceStorage<Handles.Block> allocate(long bytes) {
        DeviceStorage<Handles.Block> s = reserve.allocate(bytes);
        own.add(s);
        return s;
    }

    /** The record refers to this memory. */
    void keep(DeviceStorage<Handles.Block> s) {
        if (!own.contains(s)) {
            foreign.add(s);
        }
    }

    /** Memory that must outlive the record. */
    List<DeviceStorage<Handles.Block>> foreign() {
        return List.copyOf(foreign);
    }
}
