/** The tuning methods, one file each: hyper-parameters, what is trainable and how it starts, forward, definition. */
package dev.jotune.peft.methods;
