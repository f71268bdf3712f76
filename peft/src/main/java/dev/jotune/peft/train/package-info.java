/**
 * Training and measuring: data sets, the training step (seam 6), runs that can be killed and go on bit for bit,
 * perplexity, exact match and accuracy of choices.
 *
 * <p>{@link dev.jotune.peft.train.Trainer} joins them: a {@link dev.jotune.peft.train.Dataset} gives
 * {@link dev.jotune.peft.train.Batch batches}, an {@link dev.jotune.peft.train.Objective} makes a scalar of them, and
 * what follows (transforms, optimiser, schedule) is of {@code dev.jotune.autograd.optim}. Nothing here knows a
 * method's or a model's name.
 */
package dev.jotune.peft.train;
