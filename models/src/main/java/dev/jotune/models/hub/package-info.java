/**
 * Fetches models from the Hugging Face hub, or a server that speaks like it, into the cache that the hub's own client
 * uses, and finds them there.
 */
package dev.jotune.models.hub;
