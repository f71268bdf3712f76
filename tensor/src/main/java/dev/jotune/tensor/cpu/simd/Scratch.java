package dev.jotune.tensor.cpu.simd;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Working memory of one thread, 64-byte aligned, kept and grown between calls so that kernels allocate
 * nothing in steady state.
 *
 * <p>A slot belongs to one level of one kernel: code that runs while a slot is in use (a nested kernel, a
 * task run inline) must ask for another slot. The contents are undefined.
 */
public final class Scratch {
    /** Packed A of a matrix product, made by the caller and read by all workers. */
    static final int GEMM_A = 0;
    /** Packed B panels shared by all workers. */
    static final int GEMM_B = 1;
    /** A worker's own B panel. */
    static final int GEMM_PANEL = 2;
    /** A tile at the edge of C, or the sums of a dot tile. */
    static final int GEMM_TILE = 3;
    /** Widened weight rows of the dot kernel. */
    static final int GEMM_ROWS = 4;
    /** Working set of an attention task. */
    static final int ATTENTION = 5;
    /** Memory of the calling thread shared by an attention call's tasks. */
    static final int ATTENTION_SHARED = 6;
    /** Partial sums of row kernels, one per fixed chunk of rows. */
    static final int PARTIALS = 7;
    /** A square on its way through a transpose. */
    static final int TRANSPOSE = 8;
    /** The values of an element-wise program. */
    static final int BLOCKS = 9;
    /** Results between the passes of an error function. */
    static final int UNARY = 10;
    /** Working set of a block of channels of a selective scan. */
    static final int SCAN = 11;
    /** Results of a pass over a row, on their way to the next pass. */
    static final int ROWS = 12;
    /** For extensions: what the caller packs and all workers read. */
    public static final int EXTENSION_SHARED = 13;
    /** For extensions: what a worker packs for itself. */
    public static final int EXTENSION_OWN = 14;
    /** For extensions: a tile at the edge. */
    public static final int EXTENSION_TILE = 15;
    /** Partial sums of rows that are not added up yet. */
    static final int ROW_SUMS = 16;
    /** Gradients of the keys and values of one batch entry and head. */
    static final int ATTENTION_PAIR = 17;
    /** Partial gradients of an attention call, of the calling thread and written by its tasks. */
    static final int ATTENTION_SUMS = 18;
    /** Inner products of outputs and their gradients, of the calling thread. */
    static final int ATTENTION_DELTAS = 19;
    /** The last elements of an element-wise kernel's arrays, padded to whole vectors. */
    static final int TAILS = 20;
    /** Rows of x in the order that a row product wants. */
    static final int ROW_INPUT = 21;
    /** Strips of a task of a product with a frozen weight. */
    static final int FROZEN_A = 22;
    /** Panels of the low-rank factor that joins such a product. */
    static final int FROZEN_RIGHT = 23;
    private static final int SLOTS = 24;
    /** Where a sum begins that begins with nothing: as many zeros as a tile is wide at most. */
    private static final MemorySegment ZEROS = Arena.global().allocate(4L * Gemm.NR, 64);

    private static final ThreadLocal<Scratch> CURRENT = ThreadLocal.withInitial(Scratch::new);

    private final MemorySegment[] segments = new MemorySegment[SLOTS];

    private Scratch() {
    }

    /** Address of {@link Gemm#NR} zeros that nobody writes. */
    static long zeros() {
        return ZEROS.address();
    }

    /** Address of at least {@code bytes} bytes that stay valid until the same thread asks for more of this slot. */
    public static long get(int slot, long bytes) {
        Scratch scratch = CURRENT.get();
        MemorySegment segment = scratch.segments[slot];
        if (segment == null || segment.byteSize() < bytes) {
            long size = Math.max(4096, bytes + bytes / 4 + 4095 & -4096);
            scratch.segments[slot] = null;
            segment = Arena.ofAuto().allocate(size, 64);
            scratch.segments[slot] = segment;
        }
        return segment.address();
    }
}
