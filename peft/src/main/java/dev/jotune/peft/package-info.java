/**
 * Tuning methods and what is common to all of them: attaching, saving and loading in Hugging Face PEFT's format,
 * merging, counting.
 *
 * <p>A method is one file in {@link dev.jotune.peft.methods}: a record of its hyper-parameters
 * ({@link dev.jotune.peft.TuningMethod}) that hangs trainable tensors on a model's seams through an
 * {@link dev.jotune.peft.Attachment}. The result is an {@link dev.jotune.peft.Adapter}.
 */
package dev.jotune.peft;
