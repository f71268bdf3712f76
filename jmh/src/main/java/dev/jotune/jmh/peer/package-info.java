/**
 * Other people's libraries, called from Java without a line of C, so that a peer and our kernel can take turns in one
 * process on the same operands. Used by benchmarks only.
 */
package dev.jotune.jmh.peer;
