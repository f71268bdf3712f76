package dev.jotune.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/** Which blocks of a pool hold the tokens of which row, and how many rows use a block. */
final class BlockTable {
    private final int blockSize;
    private int[][] blocks;
    /** Blocks of a row; all rows have equally many. */
    private int columns;
    private int[] users = new int[16];
    private final BitSet used = new BitSet();
    private List<Run> runs;

    /** Block {@code to} becomes a copy of block {@code from}. */
    record Copy(int from, int to) {}

    /**
     * Blocks of neighbouring tokens that lie alike in every row: block c of row b is {@code block + b * step + c}.
     *
     * @param first token
     * @param last token, exclusive
     * @param block of row 0; -1 if they lie scattered
     * @param step from row to row; 0 if all rows share the blocks
     * @param blocks of a row
     */
    record Run(long first, long last, int block, int step, int blocks) {
        boolean isEven() {
            return block >= 0;
        }
    }

    BlockTable(int rows, int blockSize) {
        if (blockSize < 1) {
            throw new IllegalArgumentException("blocks of " + blockSize + " tokens were asked for. Give them at least one.");
        }
        this.blockSize = blockSize;
        this.blocks = new int[rows][8];
    }

    int blockSize() {
        return blockSize;
    }

    int rows() {
        return blocks.length;
    }

    /** How many blocks the pool must have. */
    int poolSize() {
        return used.length();
    }

    /** Where in the pool a token of a row lies. */
    long place(int row, long token) {
        return (long) blocks[row][(int) (token / blockSize)] * blockSize + token % blockSize;
    }

    /**
     * Gives every row blocks for tokens {@code from} to {@code to}, of its own where they are written to.
     *
     * @return what is to be copied: blocks that others use too
     */
    List<Copy> reserve(long from, long to) {
        List<Copy> copies = new ArrayList<>();
        if (from % blockSize != 0) {
            int column = (int) (from / blockSize);
            for (int[] row : blocks) {
                if (users[row[column]] > 1) {
                    int own = take(used.nextClearBit(0));
                    users[row[column]]--;
                    copies.add(new Copy(row[column], own));
                    row[column] = own;
                }
            }
        }
        int need = Math.toIntExact((to + blockSize - 1) / blockSize);
        int more = need - columns;
        if (more > 0) {
            int next = space(more * blocks.length);
            for (int b = 0; b < blocks.length; b++) {
                if (need > blocks[b].length) {
                    blocks[b] = Arrays.copyOf(blocks[b], Math.max(need, 2 * blocks[b].length));
                }
                for (int c = columns; c < need; c++) {
                    blocks[b][c] = take(next++);
                }
            }
            columns = need;
        }
        if (more > 0 || !copies.isEmpty()) {
            runs = null;
        }
        return copies;
    }

    /** The first place with so many free blocks in a row. */
    private int space(int count) {
        int start = used.nextClearBit(0);
        while (true) {
            int taken = used.nextSetBit(start);
            if (taken < 0 || taken - start >= count) {
                return start;
            }
            start = used.nextClearBit(taken);
        }
    }

    private int take(int block) {
        used.set(block);
        if (block >= users.length) {
            users = Arrays.copyOf(users, Math.max(block + 1, 2 * users.length));
        }
        users[block] = 1;
        return block;
    }

    private void release(int block) {
        if (--users[block] == 0) {
            used.clear(block);
        }
    }

    void truncate(long length) {
        int need = Math.toIntExact((length + blockSize - 1) / blockSize);
        for (int[] row : blocks) {
            for (int c = need; c < columns; c++) {
                release(row[c]);
            }
        }
        if (need < columns) {
            columns = need;
            runs = null;
        }
    }

    void reorder(int[] rows) {
        int[][] after = new int[rows.length][];
        for (int i = 0; i < rows.length; i++) {
            after[i] = blocks[rows[i]].clone();
            for (int c = 0; c < columns; c++) {
                users[after[i][c]]++;
            }
        }
        for (int[] row : blocks) {
            for (int c = 0; c < columns; c++) {
                release(row[c]);
            }
        }
        blocks = after;
        runs = null;
    }

    /**
     * All blocks as runs, in the order of their tokens; the longest that can be.
     *
     * @param pool how many blocks there are: an even run must not reach beyond
     */
    List<Run> runs(long pool) {
        if (runs == null) {
            runs = new ArrayList<>();
            for (int c = 0; c < columns; ) {
                int end = evenEnd(c, pool);
                boolean even = end > c;
                if (!even) {
                    end = c + 1;
                    while (end < columns && evenEnd(end, pool) == end) {
                        end++;
                    }
                }
                runs.add(new Run((long) c * blockSize, (long) end * blockSize, even ? blocks[0][c] : -1,
                        even ? step(c) : 0, end - c));
                c = end;
            }
        }
        return runs;
    }

    private int step(int column) {
        return blocks.length == 1 ? 0 : blocks[1][column] - blocks[0][column];
    }

    /** Where a run that begins at a column and lies evenly ends; the column itself if none does. */
    private int evenEnd(int column, long pool) {
        int step = step(column);
        int first = blocks[0][column];
        if (step < 0 || step > 0 && first + (long) blocks.length * step > pool) {
            return column;
        }
        int end = column;
        while (end < columns && (step == 0 || end - column < step) && isEven(end, first + end - column, step)) {
            end++;
        }
        return end;
    }

    private boolean isEven(int column, int first, int step) {
        for (int b = 0; b < blocks.length; b++) {
            if (blocks[b][column] != first + b * step) {
                return false;
            }
        }
        return true;
    }

    /** All blocks as if they lay scattered. */
    Run whole() {
        return new Run(0, (long) columns * blockSize, -1, 0, columns);
    }
}
