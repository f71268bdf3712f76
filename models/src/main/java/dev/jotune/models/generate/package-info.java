/**
 * From next-token logits to text. A {@link dev.jotune.models.generate.LanguageModel} is a function from a token
 * history to logits, read one text at a time or several in a batch; {@link dev.jotune.models.generate.Logits} is the
 * algebra of such functions, {@link dev.jotune.models.generate.LogitsProcessor}s change their values,
 * {@link dev.jotune.models.generate.TokenAutomaton}s say what a text may be, and
 * {@link dev.jotune.models.generate.Generator} writes by a {@link dev.jotune.models.generate.Strategy}: token by token,
 * by beams, by contrast, or with a draft model. Only the classes named Cached and
 * {@link dev.jotune.models.generate.CausalLanguageModel} know a tensor; nothing here knows an architecture.
 */
package dev.jotune.models.generate;
