package dev.jotune.peft.weights;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.io.SafeTensorsFile;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.io.StoredType;
import dev.jotune.tensor.quant.SignMatrix;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * {@link BitDelta} on disk: a safetensors file whose metadata say {@code format = bitdelta}. For each projection
 * {@code PATH.signs}, U8 {@code [rounds, out, (in + 7) / 8]}, a bit a number, the first in the lowest bit, set for +1; and
 * {@code PATH.scale}, F32 {@code [rounds]}. All other tensors are weights kept under their own names.
 */
public final class BitDeltaFile {
    private static final String FORMAT = "bitdelta";
    private static final String SIGNS = ".signs";
    private static final String SCALE = ".scale";

    private BitDeltaFile() {}

    /** Writes the file, whole or not at all. */
    public static void write(BitDelta delta, Path file) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        delta.deltas().forEach((path, s) -> {
            Tensor first = s.signs().getFirst().bits();
            Tensor all = Tensor.empty(first.backend(), DType.U8, s.signs().size(), first.size(0), first.size(1));
            for (int r = 0; r < s.signs().size(); r++) {
                all.select(0, r).copyFrom(s.signs().get(r).bits());
            }
            tensors.put(path + SIGNS, all);
            tensors.put(path + SCALE, s.scales().tensor().to(DType.F32));
        });
        tensors.putAll(delta.kept());
        try {
            SafeTensorsWriter.writeTensors(file, tensors, Map.of("format", FORMAT));
        } catch (IOException e) {
            throw new AdapterException("cannot save the delta to " + file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Reads a file for a model, which says how wide its matrices are.
     *
     * @throws AdapterException if it is no such file, or of another model
     */
    public static BitDelta read(Path file, Backbone model) {
        try {
            SafeTensorsFile f = SafeTensorsFile.open(file);
            if (!FORMAT.equals(f.metadata().get("format"))) {
                throw new AdapterException(file + " holds no 1-bit delta: its metadata do not say format = " + FORMAT
                        + ". Name a file that was saved as one.");
            }
            SequencedMap<String, BitDelta.Signs> deltas = new LinkedHashMap<>();
            SequencedMap<String, Tensor> kept = new LinkedHashMap<>();
            for (String name : f.names()) {
                if (name.endsWith(SIGNS)) {
                    String path = name.substring(0, name.length() - SIGNS.length());
                    deltas.put(path, signs(f, path, model));
                } else if (!name.endsWith(SCALE)) {
                    kept.put(name, Scope.detach(f.raw(name).toTensor(model.backend())));
                }
            }
            return new BitDelta(deltas, kept);
        } catch (FormatException | UnsupportedOperationException e) {
            throw new AdapterException(e.getMessage(), e);
        } catch (IOException e) {
            throw new AdapterException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static BitDelta.Signs signs(SafeTensorsFile f, String path, Backbone model) {
        var layer = model.seams().projections().get(path);
        StoredType type = f.entry(path + SIGNS).type();
        long[] shape = f.entry(path + SIGNS).shape();
        if (layer == null || type != StoredType.U8 || shape.length != 3 || shape[1] != layer.out()
                || shape[2] != SignMatrix.rowBytes(layer.in())) {
            throw new AdapterException(f.path() + " holds signs " + type + Arrays.toString(shape) + " for " + path
                    + ", where the model has " + (layer == null ? "no such layer" : "[" + layer.out() + ", " + layer.in() + "]")
                    + ". The delta was made for another base model.");
        }
        if (shape[0] == 0) {
            throw new AdapterException(f.path() + " holds signs of no round for " + path + ". Save a delta of one round at least.");
        }
        if (!f.contains(path + SCALE) || !Arrays.equals(f.entry(path + SCALE).shape(), new long[] {shape[0]})) {
            throw new AdapterException(f.path() + " lacks the scales of " + path + ", one a round. Save the delta again.");
        }
        double[] scales = f.raw(path + SCALE).toDoubles();
        if (!Arrays.stream(scales).allMatch(Double::isFinite)) {
            throw new AdapterException(f.path() + ": a scale of " + path + " is not finite. Its distillation went wrong: save an earlier one.");
        }
        Tensor bits = Scope.detach(f.raw(path + SIGNS).toTensor(model.backend()));
        List<SignMatrix> rounds = new ArrayList<>();
        for (int r = 0; r < shape[0]; r++) {
            rounds.add(new SignMatrix(layer.out(), layer.in(), bits.select(0, r)));
        }
        return new BitDelta.Signs(rounds, Var.parameter(Scope.detach(Tensor.of(model.backend(), model.computeType(), scales, scales.length))));
    }
}
