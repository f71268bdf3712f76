/**
 * Text to token ids and back, as described by a Hugging Face {@code tokenizer.json}.
 *
 * <p>{@link dev.jotune.models.tokenizer.Tokenizer} is the way in. The stages of a file are the package's sealed
 * interfaces {@code Normalizer}, {@code PreTokenizer}, {@code Model}, {@code PostProcessor} and {@code Decoder}; each
 * variant is a record or small class of its own, and each interface's {@code read} is the list of what is supported.
 * All positions in a text are counted in Unicode code points. Nothing here knows tensors.
 */
package dev.jotune.models.tokenizer;
