/**
 * Random numbers that are functions of a seed, a stream and an index, and of nothing else: no hidden state, the
 * same on every machine, backend and number of threads.
 */
package dev.jotune.tensor.random;
