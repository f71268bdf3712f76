/**
 * One conformance suite for every backend: each primitive against the scalar reference in double precision, over odd
 * sizes, strides and types.
 */
package dev.jotune.testing.conformance;
