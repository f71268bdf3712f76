/** BART, and the stack of blocks that it shares with Whisper. */
package dev.jotune.models.bart;
