/**
 * What the catalogue of methods says each of them must show, where that takes an experiment: one class for each claim
 * ({@link dev.jotune.jmh.claims.Claim}), run by {@code bench/claims/run.sh}, which writes {@code docs/CLAIMS.md}. What a test can
 * show is no claim here.
 */
package dev.jotune.jmh.claims;
