/** Kernels in machine code that Java emits, and how they come to the CPU backend. Used only where processor and system allow it. */
package dev.jotune.kernels.x86;
