/** CLIP (arXiv 2103.00020): a tower of texts and a tower of pictures that end in one space. */
package dev.jotune.models.clip;
