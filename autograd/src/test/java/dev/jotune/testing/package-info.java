/** Test support: finite differences, golden checks, and the conformance of kernels to their definitions. */
package dev.jotune.testing;
