/** Models from GGUF files: configuration, weights and tokenizer from one file, under the names of the hub's checkpoints. */
package dev.jotune.models.gguf;
