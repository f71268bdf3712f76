/** What the tests of every module share; exported through this module's test-jar. */
package dev.jotune.testing;
