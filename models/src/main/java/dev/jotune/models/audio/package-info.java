/**
 * Sound on its way into a model: read from WAV, cut into frames, and turned into log-mel features as
 * {@code preprocessor_config.json} says, in double precision. Models themselves live elsewhere.
 */
package dev.jotune.models.audio;
