/**
 * What models that read patches share: the embedding of patches and the pre-norm stack. A family is a configuration and
 * what lies around the stack ({@link dev.jotune.models.vit}, {@link dev.jotune.models.clip}, {@link dev.jotune.models.ast}).
 */
package dev.jotune.models.patch;
