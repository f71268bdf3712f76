/**
 * The training step: gradient transforms, optimisers, schedules, the choice of what is trainable, and the saved run.
 *
 * <p>An {@link dev.jotune.autograd.optim.UpdateRule} is a record of an optimiser's settings with its update; what it
 * remembers lies in {@link dev.jotune.autograd.optim.Slots}, so that one
 * {@link dev.jotune.autograd.optim.Optimizer} runs, saves and restores them all. Nothing here knows models, and
 * nothing is recorded for differentiation.
 */
package dev.jotune.autograd.optim;
