/** The Audio Spectrogram Transformer (arXiv 2104.01778): sounds as sequences of overlapping patches of a spectrogram. */
package dev.jotune.models.ast;
