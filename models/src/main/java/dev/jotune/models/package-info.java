/**
 * Language models: checkpoints and their configurations, architectures, the KV cache, and how a tuning method gets
 * at them ({@link dev.jotune.models.seam}).
 */
package dev.jotune.models;
