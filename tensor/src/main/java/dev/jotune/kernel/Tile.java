package dev.jotune.kernel;

import java.util.List;
import java.util.Map;

/**
 * The sizes that a tiled product's text is specialised by: which is fastest depends on the device, all give the same sums.
 *
 * @param rows of the product that a group makes
 * @param columns that a group makes
 * @param inner steps of the inner axis that go through shared memory together
 * @param itemRows that an item makes
 * @param itemColumns that an item makes
 */
public record Tile(int rows, int columns, int inner, int itemRows, int itemColumns) {
    /** 16 multiply-adds a read of four: for products that fill a device with tiles of this size. */
    public static final Tile LARGE = new Tile(128, 128, 8, 8, 8);
    /** A quarter of its tile in the same number of items. */
    public static final Tile MEDIUM = new Tile(64, 64, 16, 4, 4);
    /** Groups of 64 items, for products of few tiles. */
    public static final Tile SMALL = new Tile(32, 32, 16, 4, 4);
    /** All, the largest first. */
    public static final List<Tile> CHOICES = List.of(LARGE, MEDIUM, SMALL);

    /** What every device with OpenCL has for a group. */
    private static final int SHARED_BYTES = 32 << 10;
    private static final int FOUR = 4;

    public Tile {
        boolean fours = (rows | columns | inner | itemRows | itemColumns) % FOUR == 0;
        if (!fours || rows % itemRows != 0 || columns % itemColumns != 0) {
            throw new IllegalArgumentException("a tile [" + rows + ", " + columns + "] in steps of " + inner + " cannot be cut into items of ["
                    + itemRows + ", " + itemColumns + "]. Choose multiples of four, a tile's sizes multiples of its items'.");
        }
        int group = rows / itemRows * (columns / itemColumns);
        if (rows * inner % (FOUR * group) != 0 || columns * inner % (FOUR * group) != 0) {
            throw new IllegalArgumentException("the " + group + " items of a tile [" + rows + ", " + columns + "] do not share steps of " + inner
                    + " evenly. Choose longer steps or larger items.");
        }
    }

    /** Items of a group. */
    public int group() {
        return rows / itemRows * (columns / itemColumns);
    }

    /** Shared memory of a group: two buffers of both operands. */
    public int sharedBytes(int width) {
        return 2 * inner * (rows + columns + 2 * FOUR) * width;
    }

    /** Whether every device runs it, on numbers of so many bytes. */
    boolean fits(int width) {
        return sharedBytes(width) <= SHARED_BYTES;
    }

    /** How many tiles a product has. */
    public long count(long productRows, long productColumns) {
        return (productRows + rows - 1) / rows * ((productColumns + columns - 1) / columns);
    }

    Map<String, Integer> defines() {
        return Map.of("BM", rows, "BN", columns, "BK", inner, "TM", itemRows, "TN", itemColumns);
    }
}
