/**
 * The CPU kernels beside their peers: programs that {@code bench/cpu/run.sh} runs in turn. Each prints JSON lines
 * ({@link dev.jotune.jmh.cpu.Log}); {@code bench/cpu/report.py} makes the page of them. {@link dev.jotune.jmh.cpu.Pairs}
 * holds the rules by which a round is timed.
 */
package dev.jotune.jmh.cpu;
