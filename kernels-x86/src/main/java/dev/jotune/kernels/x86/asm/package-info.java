/**
 * A small x86-64 assembler: the instructions that kernels use, as Java methods that append bytes. It knows encodings and
 * nothing about kernels, memory or processors.
 */
package dev.jotune.kernels.x86.asm;
