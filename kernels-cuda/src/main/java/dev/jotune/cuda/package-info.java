/**
 * CUDA devices: JCuda's driver API and {@code java.lang.foreign} below, run-time compilation with a cache, memory of the device, and
 * kernels that use tensor cores beside those that every device has.
 */
package dev.jotune.cuda;
