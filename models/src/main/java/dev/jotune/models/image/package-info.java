/**
 * Pictures on their way into a model: read from PNG or JPEG, resized as Pillow does it to the last bit, cropped, scaled
 * and normalised as {@code preprocessor_config.json} says. Models themselves live elsewhere.
 */
package dev.jotune.models.image;
