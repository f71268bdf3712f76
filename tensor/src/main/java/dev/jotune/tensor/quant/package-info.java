/**
 * Weights in fewer bits: block formats as GGUF stores them, and NF4. A {@link dev.jotune.tensor.quant.QuantizedMatrix}
 * stays in its stored form; rows are widened when they are used. Here are the formats and their scalar definition;
 * products with such matrices are operations of the autograd module.
 */
package dev.jotune.tensor.quant;
