/**
 * Tensors on disk: safetensors (single files and sharded checkpoints), GGUF, {@code .npy}, the narrow number
 * formats that they hold, and file writing that a crash cannot tear.
 *
 * <p>Files are taken as hostile: everything a file claims is checked before memory is taken for it, and what is
 * wrong ends as a {@link dev.jotune.tensor.io.FormatException} that names the file, the fault and the remedy.
 * Nothing here computes.
 */
package dev.jotune.tensor.io;
