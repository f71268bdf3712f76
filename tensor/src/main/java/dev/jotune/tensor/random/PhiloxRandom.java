package dev.jotune.tensor.random;

import java.util.random.RandomGenerator;

/**
 * A {@link RandomGenerator} over one stream of {@link Philox}, for code that draws one number after another. Its
 * whole state is the position, so a run that is saved and resumed goes on with the same numbers. Every draw takes
 * the 64 bits of {@link Philox#bits} at its position, a Gaussian one those of two positions; so draws of different
 * kinds never share bits. Not for use by several threads.
 */
public final class PhiloxRandom implements RandomGenerator {

    private final long seed;
    private final long stream;
    private long position;

    public PhiloxRandom(long seed, long stream) {
        this(seed, stream, 0);
    }

    /** Goes on at a position that {@link #position()} gave before. */
    public PhiloxRandom(long seed, long stream, long position) {
        this.seed = seed;
        this.stream = stream;
        this.position = position;
    }

    /** Index of the next draw. */
    public long position() {
        return position;
    }

    @Override
    public long nextLong() {
        return Philox.bits(seed, stream, position++);
    }

    @Override
    public int nextInt(int bound) {
        return Philox.nextInt(seed, stream, position++, bound);
    }

    @Override
    public long nextLong(long bound) {
        return Philox.nextLong(seed, stream, position++, bound);
    }

    @Override
    public float nextFloat() {
        return (nextLong() >>> 40) * 0x1p-24f;
    }

    @Override
    public double nextDouble() {
        return Philox.uniformDouble(seed, stream, position++);
    }

    @Override
    public double nextGaussian() {
        double radius = BoxMuller.radius(nextDouble());
        return radius * BoxMuller.cosTurn(nextDouble());
    }
}
