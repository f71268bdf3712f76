package dev.jotune.models.patch;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Convolution;
import dev.jotune.autograd.ops.Resize;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A plane (a picture, a spectrogram) as a sequence: the model's own tokens, then the linear image of each patch, row by
 * row, plus trained positions. Patches may overlap: their embedding is a convolution.
 *
 * <p>Virtual tokens stand before all of these and get no position, as visual prompt tuning has it (arXiv 2203.12119,
 * section 3.2): where among the tokens they stand makes no difference, since nothing else tells positions apart.
 */
public final class PatchEmbedding {
    private final Shape shape;
    private final DType computeType;
    private final EmbeddingSite site;
    private final Parameter weight;
    private final Optional<Parameter> bias;
    private final List<Parameter> tokens = new ArrayList<>();
    private final Parameter positions;

    /**
     * The numbers of an embedding; pairs are (height, width).
     *
     * @param channels of a plane
     * @param hidden C
     * @param size of a plane that the positions were trained for
     * @param patch size of a patch
     * @param stride from a patch to the next
     */
    public record Shape(int channels, int hidden, List<Integer> size, List<Integer> patch, List<Integer> stride) {
        /** Patches along an axis of {@code length}: 0 for height, 1 for width. */
        long patches(int axis, long length) {
            return length < patch.get(axis) ? 0 : (length - patch.get(axis)) / stride.get(axis) + 1;
        }

        /** Patches of a plane of the trained size along an axis. */
        long patches(int axis) {
            return patches(axis, size.get(axis));
        }
    }

    /**
     * What the weights are called.
     *
     * @param projection the convolution
     * @param bias whether it has one
     * @param tokens the model's own, of C numbers each
     * @param positions the table of {@code tokens + N} rows
     * @param batched whether tokens are stored as {@code [1, 1, C]} and positions as {@code [1, tokens + N, C]}; else
     *     without the axes of 1
     */
    public record Names(String projection, boolean bias, List<String> tokens, String positions, boolean batched) {}

    /** @param siteName of the embedding site, which is also the tap behind it */
    public PatchEmbedding(Shape shape, Names names, String siteName, Weights w, Seams seams, DType computeType) {
        this.shape = shape;
        this.computeType = computeType;
        for (String t : names.tokens()) {
            tokens.add(names.batched() ? w.parameter(t, 1, 1, shape.hidden()) : w.parameter(t, shape.hidden()));
        }
        weight = w.parameter(names.projection() + ".weight", shape.hidden(), shape.channels(), shape.patch().getFirst(),
                shape.patch().getLast());
        bias = names.bias() ? Optional.of(w.parameter(names.projection() + ".bias", shape.hidden())) : Optional.empty();
        long rows = tokens.size() + shape.patches(0) * shape.patches(1);
        positions = names.batched() ? w.parameter(names.positions(), 1, rows, shape.hidden())
                : w.parameter(names.positions(), rows, shape.hidden());
        site = seams.add(new EmbeddingSite(siteName, shape.hidden(), Optional.empty()));
        seams.addTap(siteName, shape.hidden());
    }

    /**
     * {@code [B, channels, height, width] -> [B, tokens + N, C]}.
     *
     * @param interpolate whether planes may have another size than the positions were trained for
     * @throws IllegalArgumentException if the planes do not fit
     */
    public Var forward(Var planes, boolean interpolate, Pass pass) {
        check(planes, interpolate);
        long[] stride = {shape.stride().getFirst(), shape.stride().getLast()};
        return pass.perGroup(planes.to(computeType), (rows, g) -> {
            Var y = Convolution.conv2d(rows, value(weight, g), bias.map(b -> value(b, g)), stride, new long[2], new long[] {1, 1}, 1);
            Var[] parts = new Var[tokens.size() + 1];
            for (int i = 0; i < tokens.size(); i++) {
                parts[i] = value(tokens.get(i), g).reshape(1, 1, -1).expandTo(rows.size(0), 1, shape.hidden());
            }
            parts[tokens.size()] = y.reshape(rows.size(0), shape.hidden(), -1).transpose(1, 2);
            return Var.concat(1, parts).add(positions(value(positions, g), y.size(2), y.size(3)));
        });
    }

    private Var value(Parameter p, Group g) {
        return p.value(g).to(computeType);
    }

    /** Positions of a grid of patches: those of the tokens as they are, those of the patches resized where the grid differs. */
    private Var positions(Var table, long height, long width) {
        long gridHeight = shape.patches(0);
        long gridWidth = shape.patches(1);
        Var rows = table.reshape(-1, shape.hidden());
        if (height == gridHeight && width == gridWidth) {
            return rows;
        }
        Var grid = rows.slice(0, tokens.size(), rows.size(0)).transpose(0, 1).reshape(shape.hidden(), gridHeight, gridWidth);
        Var resized = Resize.apply(grid, height, width, Resize.Method.BICUBIC).reshape(shape.hidden(), -1).transpose(0, 1);
        return Var.concat(0, rows.slice(0, 0, tokens.size()), resized);
    }

    private void check(Var planes, boolean interpolate) {
        if (planes.rank() != 4 || planes.size(1) != shape.channels()) {
            throw new IllegalArgumentException("the model reads [B, " + shape.channels() + ", height, width], got "
                    + Arrays.toString(planes.shape()) + ".");
        }
        boolean same = planes.size(2) == shape.size().getFirst() && planes.size(3) == shape.size().getLast();
        if (!same && (!interpolate || shape.patches(0, planes.size(2)) == 0 || shape.patches(1, planes.size(3)) == 0)) {
            throw new IllegalArgumentException("the model reads " + shape.size().getFirst() + " by " + shape.size().getLast() + ", got "
                    + planes.size(2) + " by " + planes.size(3) + ". Resize the input"
                    + (interpolate ? " to at least one patch." : ", or have positions interpolated where the model can."));
        }
    }

    /** Where virtual tokens and the embeddings {@code [B, T, C]} lie; every position sees every other. */
    public TokenLayout layout(Var embeddings, Pass pass) {
        return TokenLayout.of(DecoderInput.of(embeddings), pass, Optional.empty(), Integer.MAX_VALUE, site, false);
    }
}
