package dev.jotune.tensor.quant;

/** How one block of a format is read and, where the format can be written, made. Bytes are little-endian. */
interface BlockCodec {
    /** Widens the block at {@code in[at]} into {@code out[to ..]}. */
    void decode(byte[] in, int at, float[] out, int to);

    /** Makes the block of {@code x[from ..]} at {@code out[at]}. */
    default void encode(float[] x, int from, byte[] out, int at) {
        throw new UnsupportedOperationException();
    }

    /** True if {@link #encode} works. */
    default boolean encodes() {
        return false;
    }

    /** A codec that only reads. */
    static BlockCodec reading(Decode decode) {
        return decode::decode;
    }

    /** A codec that also writes. */
    static BlockCodec of(Decode decode, Encode encode) {
        return new BlockCodec() {
            @Override
            public void decode(byte[] in, int at, float[] out, int to) {
                decode.decode(in, at, out, to);
            }

            @Override
            public void encode(float[] x, int from, byte[] out, int at) {
                encode.encode(x, from, out, at);
            }

            @Override
            public boolean encodes() {
                return true;
            }
        };
    }

    /** {@link BlockCodec#decode}. */
    @FunctionalInterface
    interface Decode {
        void decode(byte[] in, int at, float[] out, int to);
    }

    /** {@link BlockCodec#encode}. */
    @FunctionalInterface
    interface Encode {
        void encode(float[] x, int from, byte[] out, int at);
    }
}
