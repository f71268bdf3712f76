/**
 * A device beside the vendor's library, in one run: {@link dev.jotune.jmh.gpu.Measure} takes the rows of {@link
 * dev.jotune.jmh.gpu.Goal} one after another, checks each against the CPU before its time counts, asks PyTorch for the same, and
 * keeps what it has after every row ({@code bench/gpu/run.sh}).
 */
package dev.jotune.jmh.gpu;
