/** The CPU's two backends: the scalar reference in double precision, and the Vector API one on top of it. */
package dev.jotune.tensor.cpu;
