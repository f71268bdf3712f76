package dev.jotune.models.fuzz;

import dev.jotune.models.Architectures;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.Weights;
import dev.jotune.models.gguf.GgufModel;
import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.GgufFile;
import dev.jotune.tensor.io.GgufTensor;
import dev.jotune.tensor.io.GgufValue;
import dev.jotune.tensor.io.RawTensor;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/** What is damaged: the valid files of the golden suites. */
final class FuzzTargets {
    private static final Backend B = Backends.reference();
    private static final int MOST_BYTES = 100_000;
    private static final String TEXT = "Hello w\u00f6rld, it's 1234 \u4f60\u597d <s> [MASK] \ud83d\ude00";

    private FuzzTargets() {}

    static List<FuzzTarget> all(Path scratch) throws IOException {
        List<FuzzTarget> out = new ArrayList<>();
        out.add(safetensors());
        out.add(index(Files.createDirectory(scratch.resolve("index"))));
        out.add(checkpoint(Files.createDirectory(scratch.resolve("checkpoint"))));
        out.add(config());
        out.add(tokenizer());
        out.add(gguf());
        out.add(ggufModel());
        return out;
    }

    private static List<byte[]> files(String suite, String caseId, String suffix) throws IOException {
        List<byte[]> out = new ArrayList<>();
        for (Golden.Case c : Golden.cases(suite, caseId).toList()) {
            try (Stream<Path> inside = Files.list(c.folder())) {
                for (Path p : inside.filter(f -> f.getFileName().toString().endsWith(suffix)).sorted().toList()) {
                    if (Files.size(p) <= MOST_BYTES) {
                        out.add(Files.readAllBytes(p));
                    }
                }
            }
        }
        return out;
    }

    // ---- safetensors ----

    /** Its header's length and text. */
    private static int head(byte[] safetensors) {
        long length = ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN).getLong();
        return (int) Math.min(safetensors.length, Long.BYTES + length);
    }

    private static FuzzTarget safetensors() throws IOException {
        List<byte[]> seeds = new ArrayList<>(files("formats", "safetensors_layouts", ".safetensors"));
        seeds.addAll(files("formats", "safetensors_dtypes", "all.safetensors"));
        return new FuzzTarget("safetensors", seeds, 16, false, (b, r) -> Mutations.bytes(b, head(b), r), file -> readAll(Checkpoint.open(file)));
    }

    private static void readAll(Checkpoint checkpoint) {
        for (String name : checkpoint.names()) {
            RawTensor raw = checkpoint.raw(name);
            // Types without numbers here (F4, F6, C64) are read as bytes.
            if (raw.type().bits() % Byte.SIZE == 0 && !raw.type().name().equals("C64")) {
                raw.toDoubles();
            }
        }
    }

    private static FuzzTarget index(Path folder) throws IOException {
        Path good = Golden.cases("formats", "safetensors_index").findFirst().orElseThrow().file("good");
        copy(good, folder);
        byte[] valid = Files.readAllBytes(good.resolve(Checkpoint.INDEX_FILE));
        return new FuzzTarget("index", List.of(valid), 8, false, Mutations::json, file -> {
            Files.copy(file, folder.resolve(Checkpoint.INDEX_FILE), StandardCopyOption.REPLACE_EXISTING);
            readAll(Checkpoint.open(folder));
        });
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.list(from)) {
            for (Path p : files.filter(Files::isRegularFile).toList()) {
                Files.copy(p, to.resolve(p.getFileName()));
            }
        }
    }

    /** A whole model whose weights are damaged. */
    private static FuzzTarget checkpoint(Path folder) throws IOException {
        Golden.Case c = Golden.cases("models", "llama_tied").findFirst().orElseThrow();
        copy(c.folder(), folder);
        byte[] valid = Files.readAllBytes(c.file(Checkpoint.SINGLE_FILE));
        return new FuzzTarget("checkpoint", List.of(valid), 16, true, (b, r) -> Mutations.bytes(b, head(b), r), file -> {
            Files.copy(file, folder.resolve(Checkpoint.SINGLE_FILE), StandardCopyOption.REPLACE_EXISTING);
            Models.load(folder, B, DType.F64);
        });
    }

    // ---- JSON ----

    /** Configurations of every kind of model, each built over its own weights. */
    private static FuzzTarget config() throws IOException {
        List<byte[]> seeds = new ArrayList<>();
        for (Golden.Case c : Golden.cases("models").filter(c -> Files.exists(c.file("config.json"))
                && Files.exists(c.file(Checkpoint.SINGLE_FILE))).toList()) {
            if (supported(c)) {
                seeds.add(c.file("").toString().getBytes(StandardCharsets.UTF_8));
            }
        }
        return new FuzzTarget("config", seeds, 22, true, FuzzTargets::damagedConfig, file -> {
            byte[] both = Files.readAllBytes(file);
            int zero = 0;
            while (both[zero] != 0) {
                zero++;
            }
            Path folder = Path.of(new String(both, 0, zero, StandardCharsets.UTF_8));
            byte[] json = Arrays.copyOfRange(both, zero + 1, both.length);
            Path configFile = file.resolveSibling("config.json");
            Files.write(configFile, json);
            try (Checkpoint checkpoint = Checkpoint.open(folder)) {
                Architectures.build(Config.read(configFile), weights(checkpoint), B, DType.F64);
            }
        });
    }

    private static boolean supported(Golden.Case c) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(c.folder())) {
            Architectures.build(Config.read(c.file("config.json")), weights(checkpoint), B, DType.F64);
            return true;
        } catch (ModelException e) {
            return false;
        }
    }

    /** The folder whose weights it is for, a zero, and the damaged text. */
    private static byte[] damagedConfig(byte[] folder, SplittableRandom random) {
        try {
            Path from = Path.of(new String(folder, StandardCharsets.UTF_8));
            byte[] json = Mutations.json(Files.readAllBytes(from.resolve("config.json")), random);
            byte[] both = Arrays.copyOf(folder, folder.length + 1 + json.length);
            System.arraycopy(json, 0, both, folder.length + 1, json.length);
            return both;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Weights.Source weights(Checkpoint checkpoint) {
        return new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return checkpoint.contains(name);
            }

            @Override
            public Tensor get(String name) {
                return checkpoint.tensor(name, B);
            }

            @Override
            public String origin() {
                return checkpoint.path().toString();
            }
        };
    }

    private static FuzzTarget tokenizer() throws IOException {
        List<byte[]> seeds = new ArrayList<>();
        for (Golden.Case c : Golden.cases("tokenizers").toList()) {
            Path file = c.file("tokenizer.json");
            if (Files.exists(file) && Files.size(file) <= MOST_BYTES) {
                seeds.add(Files.readAllBytes(file));
            }
        }
        return new FuzzTarget("tokenizer", seeds, 20, false, Mutations::json, file -> {
            // A rule to fill texts up to any length is no fault of the file; following it is the caller's choice.
            Tokenizer t = Tokenizer.load(file).withPadding(Optional.empty());
            Encoding e = t.encode(TEXT, true);
            t.decode(e.ids(), false);
        });
    }

    // ---- GGUF ----

    private static FuzzTarget gguf() throws IOException {
        List<byte[]> seeds = new ArrayList<>(files("formats", "gguf_layouts", ".gguf"));
        seeds.removeIf(b -> b[4] == 0);
        seeds.addAll(files("formats", "gguf_types", ".gguf"));
        return new FuzzTarget("gguf", seeds, 8, false, (b, r) -> Mutations.bytes(b, 2200, r), file -> {
            GgufFile f = GgufFile.open(file);
            f.metadata().values().forEach(FuzzTargets::readAll);
            f.tensors().values().forEach(FuzzTargets::readAll);
        });
    }

    private static void readAll(GgufValue value) {
        if (value instanceof GgufValue.Array a) {
            a.elements().forEach(FuzzTargets::readAll);
        }
    }

    private static void readAll(GgufTensor t) {
        if (t.type().plain().isPresent()) {
            t.raw().toDoubles();
        } else if (t.type().blocks().isPresent()) {
            BlockMatrix matrix = t.blocks(B);
            float[] row = new float[(int) matrix.columns()];
            for (long r = 0; r < matrix.rows(); r++) {
                matrix.row(r, row);
            }
        }
    }

    private static FuzzTarget ggufModel() throws IOException {
        return new FuzzTarget("gguf model", files("formats", "gguf_llama", "model.gguf"), 10, true, (b, r) -> Mutations.bytes(b, 1700, r),
                file -> GgufModel.open(file).build(B, DType.F64));
    }
}
