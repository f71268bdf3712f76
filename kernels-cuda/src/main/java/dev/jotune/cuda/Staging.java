package dev.jotune.cuda;

import java.lang.foreign.MemorySegment;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * Memory of the host that the device copies from and to by itself, while the host goes on: pinned pages, in slots used in turn. A slot
 * is used again when the event behind its last copy has come to pass. Writes return when their bytes are in slots; reads wait.
 */
final class Staging {
    /** Bytes of a slot: large enough that a copy keeps the bus busy, small enough that the first is soon under way. */
    static final int SLOT = 4 << 20;
    /** Small writes begin at multiples of this. */
    private static final long ALIGNMENT = 64;
    private static final int FOR_WRITES = 4;
    /** One is emptied while the other is filled. */
    private static final int FOR_READS = 2;
    private static final int NO_TIMING = 2;

    private final int slotBytes;
    private final Check check;
    private final Ring writes = new Ring(FOR_WRITES);
    private final Ring reads = new Ring(FOR_READS);

    Staging(int slotBytes, Check check) {
        this.slotBytes = slotBytes;
        this.check = check;
    }

    /** Throws unless a call went well, and says on which device and after what. */
    interface Check {
        void that(int status, String what);
    }

    private final class Slot {
        final Handles.Host pages;
        final MemorySegment bytes;
        final CUevent copied = new CUevent();
        boolean pending;

        Slot() {
            pages = new Handles.Host();
            check.that(JCudaDriver.cuMemHostAlloc(pages, slotBytes, 0), "Pinning " + slotBytes + " bytes of the host's memory");
            bytes = MemorySegment.ofAddress(pages.address()).reinterpret(slotBytes);
            check.that(JCudaDriver.cuEventCreate(copied, NO_TIMING), "cuEventCreate");
        }

        Handles.Host at(long offset) {
            return new Handles.Host(pages.address() + offset);
        }

        void mark(CUstream stream) {
            check.that(JCudaDriver.cuEventRecord(copied, stream), "cuEventRecord");
            pending = true;
        }

        void await() {
            if (pending) {
                check.that(JCudaDriver.cuEventSynchronize(copied), "Waiting for a copy");
                pending = false;
            }
        }
    }

    /** Slots, pinned when they are first used. */
    private final class Ring {
        private final Slot[] slots;
        private int at;
        private long filled;

        Ring(int count) {
            slots = new Slot[count];
        }

        Slot current() {
            if (slots[at] == null) {
                slots[at] = new Slot();
            }
            return slots[at];
        }

        /** The next slot, when the device is done with it. */
        void advance() {
            at = (at + 1) % slots.length;
            filled = 0;
            current().await();
        }
    }

    /** To the device; the source may be changed or freed afterwards. */
    void write(CUdeviceptr target, long to, MemorySegment source, CUstream stream) {
        synchronized (writes) {
            for (long done = 0; done < source.byteSize();) {
                long rest = source.byteSize() - done;
                long room = slotBytes - writes.filled;
                // What fits into a slot is not cut in two.
                if (room < Math.min(rest, slotBytes)) {
                    writes.current().mark(stream);
                    writes.advance();
                    room = slotBytes;
                }
                long part = Math.min(rest, room);
                Slot slot = writes.current();
                MemorySegment.copy(source, done, slot.bytes, writes.filled, part);
                check.that(JCudaDriver.cuMemcpyHtoDAsync(target.withByteOffset(to + done), slot.at(writes.filled), part, stream),
                        "Writing " + source.byteSize() + " bytes");
                writes.filled += (part + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
                done += part;
            }
        }
    }

    /** To the host; returns when the bytes are there. */
    void read(CUdeviceptr source, long from, MemorySegment target, CUstream stream) {
        synchronized (reads) {
            long bytes = target.byteSize();
            Slot before = null;
            for (long done = 0; done < bytes; done += slotBytes) {
                Slot slot = reads.current();
                slot.await();
                long part = Math.min(slotBytes, bytes - done);
                check.that(JCudaDriver.cuMemcpyDtoHAsync(slot.at(0), source.withByteOffset(from + done), part, stream),
                        "Reading " + bytes + " bytes");
                slot.mark(stream);
                if (before != null) {
                    before.await();
                    MemorySegment.copy(before.bytes, 0, target, done - slotBytes, slotBytes);
                }
                before = slot;
                reads.at = (reads.at + 1) % reads.slots.length;
            }
            if (before != null) {
                before.await();
                long last = (bytes - 1) / slotBytes * slotBytes;
                MemorySegment.copy(before.bytes, 0, target, last, bytes - last);
            }
        }
    }
}
