/** What noise cannot fake about speed: that kernels are compiled. The tests here start JVMs of their own. */
package dev.jotune.testing.gate;
