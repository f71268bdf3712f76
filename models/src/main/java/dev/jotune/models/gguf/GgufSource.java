package dev.jotune.models.gguf;

import dev.jotune.models.ModelException;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.GgufFile;
import dev.jotune.tensor.io.GgufTensor;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A file's weights under the checkpoint's paths, in the checkpoint's layout. Quantised matrices are read where they
 * lie; of plain ones only those whose rows must change places are copied.
 */
final class GgufSource implements Weights.Source {
    private final GgufFile file;
    private final GgufFamily family;
    private final Backend backend;
    private final int heads;
    private final int groups;
    private final Set<String> used = new HashSet<>();

    /**
     * @param heads query heads (H)
     * @param groups key/value heads (G)
     */
    GgufSource(GgufFile file, GgufFamily family, Backend backend, int heads, int groups) {
        this.file = file;
        this.family = family;
        this.backend = backend;
        this.heads = heads;
        this.groups = groups;
    }

    @Override
    public boolean contains(String path) {
        return file.tensors().containsKey(family.place(path).name());
    }

    @Override
    public String origin() {
        return file.path().toString();
    }

    private GgufTensor tensor(GgufFamily.Place place) {
        used.add(place.name());
        return file.tensor(place.name());
    }

    /** The heads that a module's rows belong to. */
    private int heads(GgufFamily.Place place) {
        return place.name().contains("attn_k") ? groups : heads;
    }

    @Override
    public Tensor get(String path) {
        GgufFamily.Place place = family.place(path);
        Optional<StoredWeight.Quantized> quantized = quantized(path);
        if (quantized.isPresent()) {
            Tensor wide = Scope.detach(Dequantize.all(quantized.get().matrix(), backend, DType.F32));
            return quantized.get().transposed() ? wide.transpose(0, 1) : wide;
        }
        Tensor t = tensor(place).raw().toTensor(backend);
        if (family.rotated().contains(place.module())) {
            return unrotated(t, heads(place));
        }
        return family.conv1d().contains(place.module()) && t.rank() == 2 ? t.transpose(0, 1) : t;
    }

    /** Rows (h, pair, half) become rows (h, half, pair). */
    private Tensor unrotated(Tensor t, int h) {
        checkHeads(t.size(0), h);
        long pairs = t.size(0) / h / 2;
        Tensor split = t.rank() == 1 ? t.reshape(h, pairs, 2, 1) : t.reshape(h, pairs, 2, t.size(1));
        return Scope.detach(split.permute(0, 2, 1, 3).copy()).reshape(t.shape());
    }

    private void checkHeads(long rows, int h) {
        if (rows % (2L * h) != 0) {
            throw new ModelException(file.path() + ": " + rows + " rows of queries or keys do not make " + h
                    + " heads of even size. Convert the model again with a current tool.");
        }
    }

    @Override
    public Optional<StoredWeight.Quantized> quantized(String path) {
        GgufFamily.Place place = family.place(path);
        GgufTensor t = tensor(place);
        if (t.type().plain().isPresent()) {
            return Optional.empty();
        }
        if (t.type().blocks().isEmpty()) {
            throw new ModelException(file.path() + ": tensor " + t.name() + " is stored as " + t.type()
                    + ", which cannot be read. Use a file quantised as Q8_0, Q6_K, Q4_K or Q4_0.");
        }
        BlockMatrix matrix = t.blocks(backend);
        if (family.rotated().contains(place.module())) {
            matrix = matrix.reordered(order(Math.toIntExact(matrix.rows()), heads(place)));
        }
        return Optional.of(new StoredWeight.Quantized(matrix, family.conv1d().contains(place.module()), backend));
    }

    /** The stored row of every row: (h, half, pair) lies at (h, pair, half). */
    private int[] order(int rows, int h) {
        checkHeads(rows, h);
        int size = rows / h;
        int[] order = new int[rows];
        for (int i = 0; i < rows; i++) {
            int within = i % size;
            order[i] = i / size * size + 2 * (within % (size / 2)) + within / (size / 2);
        }
        return order;
    }

    /**
     * Refuses tensors that the model did not ask for: they may change the mathematics.
     *
     * @throws ModelException naming some of them
     */
    void finish(Set<String> harmless) {
        List<String> left = file.tensors().keySet().stream().filter(n -> !used.contains(n) && !harmless.contains(n)).limit(5).toList();
        if (!left.isEmpty()) {
            throw new ModelException(file.path() + " has weights that a " + family.architecture() + " model does not: "
                    + String.join(", ", left) + ". Use the safetensors checkpoint of this model, or another model.");
        }
    }
}
