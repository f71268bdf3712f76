/**
 * The backend for OpenCL 1.2 devices, over JOCL: finding them, their memory, their queue, compiled programs and their cache. What
 * is computed is written in {@link dev.jotune.kernel}; nothing here knows a formula.
 */
package dev.jotune.opencl;
