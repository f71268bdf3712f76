package dev.jotune.tensor.random;

import java.util.random.RandomGenerator;

/**
 * A {@link RandomGenerator} over one stream of {@link Philox}, for code that draws one number after another. Its
 * whole state is the position, so a run that is saved and resumed goes on with the same numbers. Draw number p of
 * whatever kind uses index p of the stream. Not for use by several threads.
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
        return Philox.uniform(seed, stream, position++);
    }

    @Override
    public double nextDouble() {
        return Philox.uniformDouble(seed, stream, position++);
    }

    @Override
    public double nextGaussian() {
        return Philox.normal(seed, stream, position++);
    }
}
