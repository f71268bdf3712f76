/**
 * What may be minimised beside cross-entropy (seam 6): preferences, anchored fine-tuning, policies with rewards. Each is a
 * pure function of log-probabilities and an {@link dev.jotune.peft.train.Objective} that takes these from a model.
 */
package dev.jotune.peft.objectives;
