/** Matrix products in machine code: what is emitted for a tile, the orders in which operands are packed, and who calls it. */
package dev.jotune.kernels.x86.gemm;
