/**
 * Language models behind an OpenAI-compatible completions endpoint, of which only the likeliest next tokens and their
 * log-probabilities are known. Nothing here writes a key anywhere but into the request.
 */
package dev.jotune.models.remote;
