/**
 * Seam 7: weights as vectors. {@link dev.jotune.peft.weights.WeightVector} is the difference of two sets of weights of a model
 * in memory. {@link dev.jotune.peft.weights.Values} is a vector that is computed a run at a time, on which each way of merging
 * is one short file; {@link dev.jotune.peft.weights.CheckpointMerge} applies one to models from file to file,
 * {@link dev.jotune.peft.weights.AdapterMerge} to the factors of adapters.
 */
package dev.jotune.peft.weights;
