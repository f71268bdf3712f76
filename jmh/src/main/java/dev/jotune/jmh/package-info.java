/**
 * Benchmarks: what a user would do, timed. {@link dev.jotune.jmh.Workload} sets the cases up, {@link
 * dev.jotune.jmh.StepBenchmark} runs them under JMH, {@link dev.jotune.jmh.Steps} beside the peer
 * ({@code bench/cpu/run.sh}).
 */
package dev.jotune.jmh;
