/** Mamba: a language model without attention, whose memory of the text is a state of fixed size. */
package dev.jotune.models.mamba;
