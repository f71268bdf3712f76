/** The Vision Transformer (arXiv 2010.11929): pictures as sequences of patches. */
package dev.jotune.models.vit;
