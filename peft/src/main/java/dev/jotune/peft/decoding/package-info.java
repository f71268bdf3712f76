/**
 * Tuning at decoding time: methods that train nothing and attach to no model, but combine the next-token logits of several.
 * Each is a record of the paper's hyper-parameters and its equation in the algebra of
 * {@link dev.jotune.models.generate.Logits}; {@link dev.jotune.peft.decoding.Formula} reads the algebra from text.
 */
package dev.jotune.peft.decoding;
