package dev.jotune.models;

import dev.jotune.autograd.Var;

/**
 * What a model of pictures reads.
 *
 * @param pixels {@code pixel_values [B, channels, height, width]}, as
 *     {@link dev.jotune.models.image.ImagePreprocessor} makes them
 * @param interpolatePositions whether pictures may have another size than the model was trained on: its position
 *     embeddings are then resized bicubically to the picture's grid of patches ({@code interpolate_pos_encoding})
 */
public record ImageInput(Var pixels, boolean interpolatePositions) {
    /** Pictures of the size that the model was trained on. */
    public static ImageInput of(Var pixels) {
        return new ImageInput(pixels, false);
    }

    /** The same pictures, whatever their size. */
    public ImageInput interpolated() {
        return new ImageInput(pixels, true);
    }
}
