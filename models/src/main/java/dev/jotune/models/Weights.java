package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** Takes a model's weights from where they are stored, checks their shapes and registers them with its seams. */
public final class Weights {
    /** Where weights come from, by checkpoint name. */
    public interface Source {
        boolean contains(String name);

        /** The weight; memory-mapped where the source is a file. */
        Tensor get(String name);

        /** The weight as a model of this shape asks for it; only a source that makes weights up needs to know the shape. */
        default Tensor get(String name, long[] shape) {
            return get(name);
        }

        /** The weight in its quantised form, if it is stored in one; {@link #get} widens it then. */
        default Optional<StoredWeight.Quantized> quantized(String name) {
            return Optional.empty();
        }

        /** For messages. */
        String origin();

        /** These weights under other names: {@code inFile} gives the name in the file for the one that a model asks for. */
        default Source renamed(UnaryOperator<String> inFile) {
            Source file = this;
            return new Source() {
                @Override
                public boolean contains(String name) {
                    return file.contains(inFile.apply(name));
                }

                @Override
                public Tensor get(String name) {
                    return file.get(inFile.apply(name));
                }

                @Override
                public Tensor get(String name, long[] shape) {
                    return file.get(inFile.apply(name), shape);
                }

                @Override
                public Optional<StoredWeight.Quantized> quantized(String name) {
                    return file.quantized(inFile.apply(name));
                }

                @Override
                public String origin() {
                    return file.origin();
                }
            };
        }
    }

    private final Source source;
    private final Seams seams;

    public Weights(Source source, Seams seams) {
        this.source = source;
        this.seams = seams;
    }

    public boolean contains(String name) {
        return source.contains(name);
    }

    /**
     * The weight {@code path} as a frozen parameter.
     *
     * @throws ModelException if it is missing or has another shape
     */
    public Parameter parameter(String path, long... shape) {
        Optional<StoredWeight.Quantized> quantized = source.contains(path) ? source.quantized(path) : Optional.empty();
        quantized.ifPresent(q -> checkShape(path, q.shape(), shape));
        return seams.add(quantized.isPresent() ? new Parameter(path, quantized.get())
                : new Parameter(path, Var.constant(buffer(path, shape))));
    }

    /**
     * The tensor {@code path} of the checkpoint that is no parameter: never trained, never counted.
     *
     * @throws ModelException if it is missing or has another shape
     */
    public Tensor buffer(String path, long... shape) {
        if (!source.contains(path)) {
            throw new ModelException(source.origin() + " lacks the weight " + path + " of shape " + Arrays.toString(shape)
                    + ". The files and config.json do not belong together, or a shard is missing.");
        }
        Tensor t = source.get(path, shape);
        checkShape(path, t.shape(), shape);
        if (!t.dtype().isFloating()) {
            throw new ModelException(source.origin() + ": " + path + " has type " + t.dtype() + ", expected a floating type.");
        }
        return t;
    }

    private void checkShape(String path, long[] found, long[] asked) {
        if (!Arrays.equals(found, asked)) {
            throw new ModelException(source.origin() + ": " + path + " has shape " + Arrays.toString(found)
                    + ", config.json asks for " + Arrays.toString(asked) + ".");
        }
    }

    /** The linear layer {@code path}, {@code [out, in]}. */
    public LinearLayer linear(String path, long out, long in, boolean bias) {
        Parameter w = parameter(path + ".weight", out, in);
        Optional<Parameter> b = bias ? Optional.of(parameter(path + ".bias", out)) : Optional.empty();
        return seams.add(new LinearLayer(path, w, b));
    }

    /** The linear layer {@code path} of GPT-2's Conv1D, stored {@code [in, out]}. */
    public LinearLayer conv1d(String path, long in, long out, boolean bias) {
        Parameter w = parameter(path + ".weight", in, out);
        Optional<Parameter> b = bias ? Optional.of(parameter(path + ".bias", out)) : Optional.empty();
        return seams.add(new LinearLayer(path, w, b, true));
    }
}
