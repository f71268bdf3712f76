package dev.jotune.cuda;

import dev.jotune.cuda.GemmSources.Mma;
import dev.jotune.cuda.GemmSources.Size;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel.LowRank;
import java.util.Optional;

/** Products with a low-rank term whose scores are made in the same launch, by warps: {@code gemm_mma.cu} with {@code gemm_low_rank.h}. */
final class CudaJoined {
    /** Operations on tensor cores in the time of a byte from memory: 312 TFLOP/s by 2 TB/s on compute capability 8.0, more on 9.0. */
    private static final double BALANCE = 150;
    /** Bytes read in the 3 us or so that a launch and its last groups take. */
    private static final double LAUNCH_BYTES = 8 << 20;
    /** Of scores made before: their product, and the sum of their pieces. */
    private static final int LAUNCHES = 2;
    /** What warp groups on 9.0 do while warps do one. */
    private static final double GROUPS_FASTER = 5.0 / 3;
    private static final long LARGEST = 1 << 30;
    /** Halves in 16 bytes. */
    private static final int EIGHT = 8;

    private final CudaBackend device;
    private final CudaProducts products;

    CudaJoined(CudaBackend device, CudaProducts products) {
        this.device = device;
        this.products = products;
    }

    /**
     * Whether making the scores anew for each column of tiles costs less than making them once in a launch before: more multiply-adds here
     * against reading x in BF16 once more, and two launches, there.
     *
     * <p>A device does some {@link #BALANCE} operations of this kind while it reads a byte, and a launch takes it as long as
     * {@link #LAUNCH_BYTES}. Where warp groups would make the product alone, these warps' slower rate counts for all of it. Reasoned from
     * data sheets, not measured.
     */
    boolean pays(long rows, long columns, long inner, long rank) {
        double work = (double) rows * inner;
        // Two pieces of A, two operations each.
        double scores = 4.0 * ranks(rank) * size(rows, columns).columnTiles(columns);
        double more = products.hasGroups() ? (GROUPS_FASTER - 1) * 2 * columns + GROUPS_FASTER * scores : scores;
        return work * more <= BALANCE * (work * Short.BYTES + LAUNCHES * LAUNCH_BYTES);
    }

    /** The rank as lines of A in shared memory. */
    static int ranks(long rank) {
        return Math.toIntExact((rank + Mma.RANKS - 1) / Mma.RANKS * Mma.RANKS);
    }

    private Size size(long rows, long columns) {
        boolean fits = Size.PIECES.sharedBytes(Mma.MOST_RANK) <= device.info().shared();
        return fits && Size.PIECES.tiles(rows, columns) >= device.units() ? Size.PIECES : Size.SMALL;
    }

    /** Whether {@link #multiply} takes such a product: weight {@code b [K, N]} BF16, result {@code [M, N]}. */
    boolean supports(Tensor b, Tensor out, long rank) {
        return products.way() == CudaProducts.Way.AUTO && device.chip() >= CudaSource.Chip.SM80.capability() && b.dtype() == DType.BF16
                && rank > 0 && rank <= Mma.MOST_RANK && out.numel() > 0 && b.size(0) > 0 && b.size(0) % EIGHT == 0 && lines(b)
                && out.stride(1) == 1 && Math.max(Math.max(out.size(0), out.size(1)), b.size(0)) <= LARGEST;
    }

    /** Whether lines of b begin at multiples of 16 bytes. */
    private static boolean lines(Tensor b) {
        int along = inner(b) ? 0 : 1;
        return b.stride(along) == 1 && b.offset() % EIGHT == 0 && (b.size(1 - along) == 1 || b.stride(1 - along) % EIGHT == 0);
    }

    private static boolean inner(Tensor b) {
        return b.stride(0) == 1;
    }

    /**
     * {@code out (+)= a b + s (a A^T) B^T + bias}.
     *
     * @param a {@code [M, K]} BF16, contiguous
     * @param b {@code [K, N]} BF16
     * @param out {@code [M, N]} F32
     * @param down {@code [2 R', K]} BF16, contiguous, R' the {@link #ranks}: first pieces of A, zeros beyond R, then second ones; lines may follow
     */
    void multiply(Tensor a, Tensor b, Tensor out, boolean accumulate, Tensor down, LowRank term, Optional<Tensor> bias) {
        long rows = out.size(0);
        long columns = out.size(1);
        long rank = term.down().size(0);
        Size size = size(rows, columns);
        Tensor added = bias.orElse(term.up());
        Tensor kept = term.scores().orElse(out);
        boolean pairs = out.offset() % 2 == 0 && (rows == 1 || out.stride(0) % 2 == 0);
        device.launch(new Mma(DType.BF16, DType.F32, true, inner(b), size, ranks(rank)).source(), size.tiles(rows, columns), 1, 1, a, b, out, rows,
                columns, a.size(1), 1, accumulate ? 1 : 0, pairs ? 1 : 0, a.stride(0), a.stride(1), 0, 0, b.stride(0), b.stride(1), 0, 0,
                out.stride(0), out.stride(1), 0, 0, down, term.up(), added, kept, rank, bias.isPresent() ? 1 : 0,
                term.scores().isPresent() ? 1 : 0, down.stride(0), term.up().stride(0), term.up().stride(1), added.stride(-1), kept.stride(0),
                term.scale());
    }
}
