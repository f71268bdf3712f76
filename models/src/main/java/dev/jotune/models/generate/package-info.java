/**
 * From next-token logits to text. A {@link dev.jotune.models.generate.LanguageModel} is a function from a token
 * history to logits; {@link dev.jotune.models.generate.Logits} is the algebra of such functions,
 * {@link dev.jotune.models.generate.LogitsProcessor}s change their values,
 * {@link dev.jotune.models.generate.Sampler} chooses a token and {@link dev.jotune.models.generate.Generator} puts
 * them in a loop. Nothing here knows a tensor or an architecture.
 */
package dev.jotune.models.generate;
