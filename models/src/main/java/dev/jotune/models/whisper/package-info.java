/** Whisper: speech features in, text out, on BART's stack. */
package dev.jotune.models.whisper;
