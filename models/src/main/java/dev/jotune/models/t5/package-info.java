/** T5: relative position bias, RMSNorm, encoder and decoder. */
package dev.jotune.models.t5;
