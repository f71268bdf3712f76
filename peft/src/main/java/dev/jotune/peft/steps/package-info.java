/** Parts of a training step beside its objective (seam 6): what trains when, how gradients change, how to go down without them. */
package dev.jotune.peft.steps;
