/**
 * The training step: gradient transforms, optimisers, schedules, the choice of what is trainable, and the saved run.
 *
 * <p>An {@link dev.jotune.autograd.optim.UpdateRule} is a record of an optimiser's settings with its update; what it
 * remembers lies in {@link dev.jotune.autograd.optim.Slots}, so that one
 * {@link dev.jotune.autograd.optim.Optimizer} runs, saves and restores them all. Nothing here knows models, and
 * nothing is recorded for differentiation.
 *
 * <pre>{@code
 * Optimizer optimizer = new AdamW(0.01)
 *         .with(Schedules.byName("linear", Map.of("base_lr", 1e-4, "warmup", 100, "total", 2000)))
 *         .after(GradientTransforms.clipByNorm(1));
 * optimizer.step(parameters, Gradients.of(loss, List.copyOf(parameters.values())));
 * }</pre>
 */
package dev.jotune.autograd.optim;
