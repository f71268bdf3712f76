package dev.jotune.tensor;

/**
 * What one kernel cost on its device.
 *
 * @param kernel its name
 * @param calls how often it ran
 * @param totalMicros the sum, in microseconds
 * @param medianMicros the middle call
 */
public record KernelTime(String kernel, long calls, double totalMicros, double medianMicros) {}
