/**
 * The {@code jotune} command. Each subcommand is one class that reads options, calls the modules below and prints;
 * mathematics, file formats and training live there, not here.
 */
package dev.jotune.cli;
