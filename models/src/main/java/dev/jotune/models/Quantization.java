package dev.jotune.models;

import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Quantises a loaded model's projections, so that a frozen base takes a fraction of its memory while a method trains
 * over it (QLoRA, Dettmers et al., arXiv 2305.14314). As there, the linear layers of the blocks are quantised;
 * embeddings, norms, biases and the output head stay as they are.
 */
public final class Quantization {
    private static final String NF4 = "nf4";
    /** A path that leads through a numbered block. */
    private static final Pattern IN_BLOCK = Pattern.compile(".*\\.\\d+\\..*");

    private Quantization() {}

    /** The names of the formats: {@code nf4}, {@code q8_0}, {@code q4_0}, ... */
    public static List<String> formats() {
        return Stream.concat(Stream.of(NF4), Stream.of(BlockFormat.values()).filter(BlockFormat::quantizes)
                .map(f -> f.name().toLowerCase(Locale.ROOT))).toList();
    }

    /**
     * Quantises the linear layers of all blocks. Layers are done one after another: beside the result, at most one row
     * is widened at a time.
     *
     * @throws ModelException if the format is unknown or does not fit a layer; the model is unchanged then
     */
    public static void apply(Backbone model, String format) {
        List<StoredWeight.Quantized> made = new ArrayList<>();
        List<Parameter> weights = new ArrayList<>();
        Set<Parameter> seen = new HashSet<>();
        for (LinearLayer layer : model.seams().projections().values()) {
            boolean wide = !(layer.weight().stored() instanceof StoredWeight.Quantized);
            if (IN_BLOCK.matcher(layer.path()).matches() && wide && seen.add(layer.weight())) {
                made.add(quantize(layer, format));
                weights.add(layer.weight());
            }
        }
        for (int i = 0; i < made.size(); i++) {
            weights.get(i).replace(made.get(i));
        }
    }

    private static StoredWeight.Quantized quantize(LinearLayer layer, String format) {
        Tensor w = layer.oriented(layer.weight().base()).tensor();
        try {
            return new StoredWeight.Quantized(quantize(w, format), layer.transposed(), w.backend());
        } catch (IllegalArgumentException e) {
            throw new ModelException(layer.path() + " cannot be quantised to " + format + ": " + e.getMessage(), e);
        }
    }

    /**
     * One matrix {@code [out, in]} of a floating type.
     *
     * @throws ModelException           if the format is unknown
     * @throws IllegalArgumentException if it does not fit the matrix
     */
    public static QuantizedMatrix quantize(Tensor weight, String format) {
        if (format.equalsIgnoreCase(NF4)) {
            return Nf4Matrix.quantize(weight);
        }
        return BlockMatrix.quantize(BlockFormat.named(format).filter(BlockFormat::quantizes).orElseThrow(() -> new ModelException(
                "there is no format '" + format + "' to quantise to. Formats: " + String.join(", ", formats()) + ".")), weight);
    }
}
