/** Seam 7: the difference of two sets of weights is a value that can be scaled, added and applied. */
package dev.jotune.peft.weights;
