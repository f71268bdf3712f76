/**
 * Heads on encoders, shared by all families of encoders: a family says what its heads are called in checkpoints
 * ({@link dev.jotune.models.head.HeadNames}) and gets its masked language model, classifiers and pooler from here.
 */
package dev.jotune.models.head;
