package dev.jotune.peft.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.io.SafeTensorsFile;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.io.StoredType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * An adapter that {@link ComPeft} compressed, as one safetensors file: {@code codes}, U8, the Golomb code of the ternary vector, and
 * {@code scale}, F32. The metadata hold {@code format = compeft}, the number of codes, PEFT's configuration, and the names and shapes of the tensors
 * in the order of the vector. What the adapter started from is not in the file; it is added when it is read.
 */
public final class ComPeftFile {
    private static final String FORMAT = "compeft";
    /** Of so many numbers one at least is not zero, which bounds what a file of some size can ask memory for. */
    private static final long SPARSEST = 1 << 16;
    private static final JsonMapper JSON = new JsonMapper();

    private ComPeftFile() {}

    /** The task vector of an adapter, {@code theta - theta_start}, its tensors one behind the other. */
    public static Values vector(AdapterFiles.Contents adapter, AdapterFiles.Contents start) {
        return flat(adapter).minus(flat(start));
    }

    private static Values flat(AdapterFiles.Contents adapter) {
        return Values.concat(adapter.tensors().values().stream().map(Values::of).toList());
    }

    /** The adapter whose task vector is {@code tau}: {@code theta_start + tau}. */
    public static AdapterFiles.Contents restore(AdapterFiles.Contents start, Values tau) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        Values whole = Values.sum(List.of(flat(start), tau), 1, 1);
        long at = 0;
        for (Map.Entry<String, Tensor> e : start.tensors().entrySet()) {
            long size = e.getValue().numel();
            out.put(e.getKey(), Tensor.of(Backends.cpu(), DType.F32, whole.slice(at, size).toArray(), e.getValue().shape()));
            at += size;
        }
        return new AdapterFiles.Contents(start.method(), out);
    }

    /**
     * The start that the published program takes: ones for (IA)^3, and zeros for all others, LoRA's random A too. An adapter's own start,
     * which the same seed makes again, leaves less to compress.
     */
    public static AdapterFiles.Contents usualStart(AdapterFiles.Contents adapter) {
        return startOf(adapter.method(), shapes(adapter));
    }

    private static AdapterFiles.Contents startOf(TuningMethod method, SequencedMap<String, long[]> shapes) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        shapes.forEach((name, s) -> out.put(name, Tensor.full(Backends.cpu(), DType.F32, method.peftType().equals("IA3") ? 1 : 0, s)));
        return new AdapterFiles.Contents(method, out);
    }

    private static SequencedMap<String, long[]> shapes(AdapterFiles.Contents adapter) {
        SequencedMap<String, long[]> out = new LinkedHashMap<>();
        adapter.tensors().forEach((name, t) -> out.put(name, t.shape()));
        return out;
    }

    /**
     * Writes a compressed adapter.
     *
     * @throws AdapterException if fewer than one number in 65536 is not zero, or the file cannot be written
     */
    public static void write(Path file, AdapterFiles.Contents adapter, Ternary vector) {
        long count = vector.nonZero();
        if (tooSparse(vector.size(), count)) {
            throw new AdapterException("only " + count + " of " + vector.size() + " numbers are left, fewer than one in " + SPARSEST
                    + ". Keep a larger share.");
        }
        byte[] codes = Golomb.of(count, vector.size()).encode(vector);
        ObjectNode shapes = JSON.createObjectNode();
        adapter.tensors().forEach((name, t) -> shapes.set(name, JSON.valueToTree(t.shape())));
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        Tensor bytes = Tensor.empty(Backends.cpu(), DType.U8, codes.length);
        Backends.cpu().write(bytes, MemorySegment.ofArray(codes));
        tensors.put("codes", bytes);
        tensors.put("scale", Tensor.of(Backends.cpu(), DType.F32, new double[] {vector.scale()}, 1));
        try {
            SafeTensorsWriter.writeTensors(file, tensors, Map.of("format", FORMAT, "count", Long.toString(count), "tensors", shapes.toString(),
                    "config", AdapterFiles.configuration(adapter.method())));
        } catch (IOException e) {
            throw new AdapterException("cannot save the compressed adapter to " + file + ": " + e.getMessage(), e);
        }
    }

    /** Reads an adapter that was compressed against {@link #usualStart}. */
    public static AdapterFiles.Contents read(Path file) {
        return read(file, Optional.empty());
    }

    /**
     * Reads a compressed adapter.
     *
     * @param start what it was compressed against, if not {@link #usualStart}
     * @throws AdapterException if it is no such file, damaged, or of other tensors than the start
     */
    public static AdapterFiles.Contents read(Path file, Optional<AdapterFiles.Contents> start) {
        try {
            SafeTensorsFile f = SafeTensorsFile.open(file);
            Map<String, String> said = f.metadata();
            if (!FORMAT.equals(said.get("format")) || !said.keySet().containsAll(List.of("count", "tensors", "config"))) {
                throw new AdapterException(file + " holds no compressed adapter: its metadata do not say format = " + FORMAT
                        + ". Name a file that was saved as one.");
            }
            long count = Long.parseLong(said.get("count"));
            byte[] codes = codes(f);
            SequencedMap<String, long[]> shapes = shapes(file, JSON.readTree(said.get("tensors")), count);
            long size = shapes.values().stream().mapToLong(ComPeftFile::elements).sum();
            // A number takes two bits at least: its gap and its sign.
            if (count < 0 || count > size || count > codes.length * 4L) {
                throw new AdapterException(file + " says that " + count + " of " + size + " numbers are in " + codes.length
                        + " bytes. The file is damaged.");
            }
            Ternary t = Golomb.of(count, size).decode(codes, count, size, scale(f));
            AdapterFiles.Contents from = start.orElseGet(() -> startOf(AdapterFiles.method(said.get("config"), file.toString()), shapes));
            if (!described(shapes(from)).equals(described(shapes))) {
                throw new AdapterException(file + " holds other tensors than the start that it is added to. Give the start it was made with.");
            }
            return restore(from, t.values());
        } catch (JsonProcessingException | FormatException e) {
            throw new AdapterException(file + " is damaged: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new AdapterException("cannot read " + file + ": " + e.getMessage(), e);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new AdapterException(file + ": " + e.getMessage(), e);
        }
    }

    private static byte[] codes(SafeTensorsFile f) {
        if (!f.contains("codes") || f.entry("codes").type() != StoredType.U8 || f.entry("codes").byteSize() > Integer.MAX_VALUE - Long.BYTES) {
            throw new AdapterException(f.path() + " holds no codes of type U8. The file is damaged.");
        }
        return f.data("codes").toArray(ValueLayout.JAVA_BYTE);
    }

    private static double scale(SafeTensorsFile f) {
        if (!f.contains("scale") || f.entry("scale").type() != StoredType.F32 || !Arrays.equals(f.entry("scale").shape(), new long[] {1})) {
            throw new AdapterException(f.path() + " holds no scale of type F32 and shape [1]. The file is damaged.");
        }
        double scale = f.raw("scale").toDoubles()[0];
        if (!Double.isFinite(scale)) {
            throw new AdapterException(f.path() + ": the scale is " + scale + ". Compress an adapter whose numbers are finite.");
        }
        return scale;
    }

    /** What the metadata say of the tensors, once nothing is larger than the file can mean. */
    private static SequencedMap<String, long[]> shapes(Path file, JsonNode said, long count) {
        SequencedMap<String, long[]> out = new LinkedHashMap<>();
        long size = 0;
        for (Map.Entry<String, JsonNode> e : said.properties()) {
            JsonNode dims = e.getValue();
            if (!dims.isArray() || !dims.valueStream().allMatch(d -> d.canConvertToLong() && d.isIntegralNumber() && d.longValue() >= 0)) {
                throw new AdapterException(file + ": the tensor " + e.getKey() + " has the shape " + dims
                        + ", which is no list of sizes. The file is damaged.");
            }
            long[] shape = dims.valueStream().mapToLong(JsonNode::longValue).toArray();
            size = Math.addExact(size, elements(shape));
            if (size > Integer.MAX_VALUE || tooSparse(size, count)) {
                throw new AdapterException(file + ": the tensor " + e.getKey() + " has the shape " + Arrays.toString(shape) + ", more than "
                        + count + " codes can stand for. The file is damaged.");
            }
            out.put(e.getKey(), shape);
        }
        if (out.isEmpty()) {
            throw new AdapterException(file + " names no tensors. The file is damaged.");
        }
        return out;
    }

    private static boolean tooSparse(long size, long count) {
        return size / SPARSEST > count;
    }

    private static long elements(long[] shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    /** Equal for equal names and shapes in one order, which is that of the vector. */
    private static List<String> described(SequencedMap<String, long[]> shapes) {
        return shapes.entrySet().stream().map(e -> e.getKey() + Arrays.toString(e.getValue())).toList();
    }
}
