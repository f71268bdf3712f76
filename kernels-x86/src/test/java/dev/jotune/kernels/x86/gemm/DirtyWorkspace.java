package dev.jotune.kernels.x86.gemm;

import java.lang.foreign.MemorySegment;

/** Fills the calling thread's working memory with NaN, F32 and BF16 alike: who reads what nobody wrote, spoils the result. */
public final class DirtyWorkspace {
    private static final int[] SLOTS = {Workspace.ROWS, Workspace.PANEL, Workspace.RIGHT, Workspace.ARGUMENTS, Workspace.TILES, Workspace.WHOLE};
    private static final long BYTES = 256 << 10;

    private DirtyWorkspace() {
    }

    /** What a product asks for in the tests is smaller, so that it gets this memory. */
    public static void make() {
        for (int slot : SLOTS) {
            MemorySegment.ofAddress(Workspace.get(slot, BYTES)).reinterpret(BYTES).fill((byte) 0xff);
        }
    }
}
