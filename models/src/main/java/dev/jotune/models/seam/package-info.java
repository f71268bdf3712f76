/**
 * The places where tuning methods plug into a model (DESIGN section 2). A method never edits a model's code, and a
 * model never knows a method's name: it computes through these, and what is attached answers.
 *
 * <p>{@link dev.jotune.models.seam.Seams} lists what a model offers; {@link dev.jotune.models.seam.Hooks} is what one
 * attached adapter hangs there; {@link dev.jotune.models.seam.Pass} says, for one forward pass, which rows of the
 * batch run under which adapters.
 */
package dev.jotune.models.seam;
