/**
 * Decoders like Llama: one block assembled from options. {@link dev.jotune.models.decoder.Families} maps the
 * configuration of a family to {@link dev.jotune.models.decoder.DecoderConfig}, and that is all that a further family
 * needs. What differs in kind has a package of its own.
 */
package dev.jotune.models.decoder;
