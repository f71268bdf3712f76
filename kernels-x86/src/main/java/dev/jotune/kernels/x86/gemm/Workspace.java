package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;

/**
 * Working memory of one thread, 64-byte aligned, kept and grown between calls. The slots of a call's caller are read by
 * all threads that work on it; those of a task belong to the thread that runs it.
 */
final class Workspace {
    /** Of the caller: rows of A in the kernel's type. */
    static final int ROWS = 0;
    /** Of a task: the panel it makes. */
    static final int PANEL = 1;
    /** Of a task: the panel of the low-rank term. */
    static final int RIGHT = 2;
    /** Of a task: argument blocks. */
    static final int ARGUMENTS = 3;
    /** Of a task: the argument block of AMX kernels. */
    static final int TILES = 4;
    /** Of a task: a panel before it is split. */
    static final int WHOLE = 5;
    private static final int SLOTS = 6;
    private static final ThreadLocal<Workspace> CURRENT = ThreadLocal.withInitial(Workspace::new);

    private final Storage[] blocks = new Storage[SLOTS];

    private Workspace() {
    }

    /** Address of at least {@code bytes} bytes, undefined, valid until the same thread asks for more of this slot. */
    static long get(int slot, long bytes) {
        Storage[] blocks = CURRENT.get().blocks;
        Storage block = blocks[slot];
        if (block == null || block.byteSize() < bytes) {
            if (block != null) {
                block.free();
            }
            block = HostMemory.allocate(bytes + bytes / 4 + 4095 & -4096);
            blocks[slot] = block;
        }
        return block.address();
    }

    static long arguments() {
        return get(ARGUMENTS, TileArgs.SIZE);
    }
}
