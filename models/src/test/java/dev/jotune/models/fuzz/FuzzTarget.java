package dev.jotune.models.fuzz;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A kind of file that is damaged and read.
 *
 * @param name for messages
 * @param seeds valid files
 * @param share mutations of it in 100
 * @param tensors whether reading makes tensors, whose memory is counted for the process as a whole
 * @param mutator damages a valid file
 * @param reader puts a damaged file where it belongs and reads all of it
 */
record FuzzTarget(String name, List<byte[]> seeds, int share, boolean tensors, Mutator mutator, Reader reader) {
    /** Makes a damaged copy. */
    @FunctionalInterface
    interface Mutator {
        byte[] apply(byte[] valid, SplittableRandom random);
    }

    /** Reads a file; what it throws is judged by the test. */
    @FunctionalInterface
    interface Reader {
        void read(Path file) throws Exception;
    }
}
