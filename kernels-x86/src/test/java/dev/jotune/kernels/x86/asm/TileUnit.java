package dev.jotune.kernels.x86.asm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** AMX: eight tiles, their configuration, and products by the operation section of Intel's manual. */
final class TileUnit {
    private static final int TILES = 8;
    private static final int ROW = 64;

    private final Ranges memory;
    private final byte[][] tiles = new byte[TILES][16 * ROW];
    private final int[] rows = new int[TILES];
    private final int[] columnBytes = new int[TILES];
    private boolean configured;

    TileUnit(Ranges memory) {
        this.memory = memory;
    }

    boolean isConfigured() {
        return configured;
    }

    void configure(long address) {
        byte[] c = new byte[64];
        memory.read(address, c, 0, 64);
        if (c[0] != 1) {
            throw new AssertionError("The palette is " + c[0] + ", not 1");
        }
        release();
        for (int i = 1; i < 64; i++) {
            if ((i < 16 || i >= 32 && i < 48 || i >= 56) && c[i] != 0) {
                throw new AssertionError("Byte " + i + " of the configuration is reserved and not zero");
            }
        }
        for (int t = 0; t < TILES; t++) {
            columnBytes[t] = c[16 + 2 * t] & 0xff | (c[17 + 2 * t] & 0xff) << 8;
            rows[t] = c[48 + t] & 0xff;
            if (columnBytes[t] > ROW || rows[t] > 16 || rows[t] == 0 != (columnBytes[t] == 0)) {
                throw new AssertionError("Tile " + t + " is configured as " + rows[t] + " rows of " + columnBytes[t] + " bytes");
            }
        }
        configured = true;
    }

    void store(long address) {
        byte[] c = new byte[64];
        c[0] = (byte) (configured ? 1 : 0);
        for (int t = 0; t < TILES; t++) {
            c[16 + 2 * t] = (byte) columnBytes[t];
            c[48 + t] = (byte) rows[t];
        }
        memory.write(address, c, 0, 64);
    }

    void release() {
        configured = false;
        for (int t = 0; t < TILES; t++) {
            zero(t);
            rows[t] = 0;
            columnBytes[t] = 0;
        }
    }

    void zero(int t) {
        tiles[t] = new byte[16 * ROW];
    }

    private void check(int t) {
        if (rows[t] == 0) {
            throw new AssertionError("Tile " + t + " is used and has no shape");
        }
    }

    void load(int t, long address, long stride) {
        check(t);
        zero(t);
        for (int r = 0; r < rows[t]; r++) {
            memory.read(address + r * stride, tiles[t], r * ROW, columnBytes[t]);
        }
    }

    void store(int t, long address, long stride) {
        check(t);
        for (int r = 0; r < rows[t]; r++) {
            memory.write(address + r * stride, tiles[t], r * ROW, columnBytes[t]);
        }
    }

    private void checkProduct(int d, int a, int b) {
        check(d);
        check(a);
        check(b);
        if (d == a || d == b || a == b || rows[d] != rows[a] || columnBytes[d] != columnBytes[b] || columnBytes[a] / 4 != rows[b]
                || (columnBytes[a] | columnBytes[b]) % 4 != 0) {
            throw new AssertionError("Tiles " + d + ", " + a + " and " + b + " have shapes that do not multiply");
        }
    }

    private static ByteBuffer view(byte[] tile) {
        return ByteBuffer.wrap(tile).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Sums of even and of odd places each grow by fused multiply-adds from zero, join, and are added to the target at last. */
    void bf16(int d, int a, int b) {
        checkProduct(d, a, b);
        ByteBuffer x = view(tiles[a]);
        ByteBuffer y = view(tiles[b]);
        ByteBuffer z = view(tiles[d]);
        for (int m = 0; m < rows[d]; m++) {
            for (int n = 0; n < columnBytes[d] / 4; n++) {
                float even = 0;
                float odd = 0;
                for (int k = 0; k < columnBytes[a] / 4; k++) {
                    even = Bf16.fma(Bf16.widen(x.getShort(m * ROW + 4 * k)), Bf16.widen(y.getShort(k * ROW + 4 * n)), even);
                    odd = Bf16.fma(Bf16.widen(x.getShort(m * ROW + 4 * k + 2)), Bf16.widen(y.getShort(k * ROW + 4 * n + 2)), odd);
                }
                float sum = Bf16.flush(even + odd);
                z.putFloat(m * ROW + 4 * n, Bf16.flush(Bf16.flush(z.getFloat(m * ROW + 4 * n)) + sum));
            }
        }
    }

    /** Sums of four products of bytes; those of a are signed or not, those of b are signed. */
    void bytes(int d, int a, int b, boolean signed) {
        checkProduct(d, a, b);
        ByteBuffer z = view(tiles[d]);
        for (int m = 0; m < rows[d]; m++) {
            for (int n = 0; n < columnBytes[d] / 4; n++) {
                int sum = z.getInt(m * ROW + 4 * n);
                for (int k = 0; k < columnBytes[a]; k++) {
                    int left = tiles[a][m * ROW + k];
                    sum += (signed ? left : left & 0xff) * tiles[b][k / 4 * ROW + 4 * n + k % 4];
                }
                z.putInt(m * ROW + 4 * n, sum);
            }
        }
    }
}
