package dev.jotune.models;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.Direction;
import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.models.tokenizer.Truncation;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Turns sentences into vectors whose cosine says how alike they are (Sentence-BERT, Reimers and Gurevych, arXiv
 * 1908.10084).
 *
 * @param maxLength tokens of a sentence at most; what is longer loses its end
 * @param lowerCase whether sentences are lower-cased before the tokenizer sees them
 * @param normalize whether vectors get length 1
 */
public record SentenceEncoder(Encoder encoder, Tokenizer tokenizer, Pooling pooling, boolean normalize, int maxLength,
        boolean lowerCase) {
    private static final int BATCH = 32;
    private static final String PREFIX = "sentence_transformers.models.";

    /**
     * Loads a folder as sentence-transformers lays it out: {@code modules.json} says what follows the encoder, the
     * pooling's own {@code config.json} how. A folder without {@code modules.json} is pooled by the mean, and its vectors
     * get length 1.
     *
     * @throws ModelException saying what is missing, malformed or not supported
     */
    public static SentenceEncoder load(Path folder, Backend backend, DType computeType) {
        Path modules = folder.resolve("modules.json");
        if (!Files.exists(modules)) {
            return of(Models.load(folder, backend, computeType), folder, Pooling.MEAN, true);
        }
        Path model = folder;
        Optional<Pooling> pooling = Optional.empty();
        boolean normalize = false;
        for (Config module : Config.readList(modules)) {
            String type = module.text("type", "");
            Path path = folder.resolve(module.text("path", ""));
            switch (type.substring(type.lastIndexOf('.') + 1)) {
                case "Transformer" -> model = path;
                case "Pooling" -> pooling = Optional.of(pooling(Config.read(path.resolve("config.json"))));
                case "Normalize" -> normalize = true;
                default -> throw new ModelException(modules + ": the module '" + type + "' is not supported. Supported: " + PREFIX
                        + "Transformer, Pooling, Normalize.");
            }
        }
        Pooling chosen = pooling.orElseThrow(() -> new ModelException(modules + " names no Pooling, so there is no vector of a "
                + "sentence. Use the model as an encoder."));
        return of(Models.load(model, backend, computeType), model, chosen, normalize);
    }

    private static SentenceEncoder of(Models.Loaded loaded, Path folder, Pooling pooling, boolean normalize) {
        Encoder encoder = loaded.as(Encoder.class);
        Path settings = folder.resolve("sentence_bert_config.json");
        Optional<Config> config = Files.exists(settings) ? Optional.of(Config.read(settings)) : Optional.empty();
        int most = config.map(c -> c.size("max_seq_length", encoder.contextLength())).orElse(encoder.contextLength());
        return new SentenceEncoder(encoder, loaded.requireTokenizer(), pooling, normalize, Math.min(most, encoder.contextLength()),
                config.map(c -> c.flag("do_lower_case", false)).orElse(false));
    }

    private static Pooling pooling(Config c) {
        c.integer("word_embedding_dimension", 0);
        c.flag("include_prompt", true);
        Optional<Pooling> found = Optional.empty();
        List<String> modes = new ArrayList<>();
        for (Pooling p : Pooling.values()) {
            String suffix = p == Pooling.CLS ? "cls_token" : p.name().toLowerCase(Locale.ROOT) + "_tokens";
            if (c.flag("pooling_mode_" + suffix, false) || c.text("pooling_mode", "").equals(p.name().toLowerCase(Locale.ROOT))) {
                found = Optional.of(p);
                modes.add(p.name());
            }
        }
        c.finish(Set.of());
        if (modes.size() != 1) {
            throw new ModelException(c.origin() + " asks for " + (modes.isEmpty() ? "no pooling that is known" : String.join(" and ", modes))
                    + ". Supported: one of cls, mean, max, mean_sqrt_len.");
        }
        return found.get();
    }

    /** The vectors {@code [B, C]} of texts that are encoded already; gradients flow into whatever the pass trains. */
    public Var embed(EncoderInput input, Pass pass) {
        Var v = pooling.apply(encoder.forward(input, pass).text(), input.mask());
        if (!normalize) {
            return v;
        }
        Var length = v.square().sum(1).add(1e-24).sqrt();
        return v.div(length.reshape(v.size(0), 1));
    }

    /** The vectors of sentences, under the adapters that are active on the encoder. */
    public float[][] encode(List<String> sentences) {
        return encode(sentences, encoder.seams().inference());
    }

    /** The vectors of sentences, in their order. */
    public float[][] encode(List<String> sentences, Pass pass) {
        Tokenizer cutting = tokenizer.withPadding(Optional.empty()).withTruncation(Optional.of(new Truncation(maxLength, 0,
                Truncation.Strategy.LONGEST_FIRST, Direction.RIGHT)));
        List<Encoding> encodings = sentences.stream().map(s -> cutting.encode(lowerCase ? s.toLowerCase(Locale.ROOT) : s, true)).toList();
        // Neighbours of similar length need little padding.
        int[] order = IntStream.range(0, encodings.size()).boxed()
                .sorted(Comparator.comparingInt(i -> encodings.get(i).length())).mapToInt(i -> i).toArray();
        float[][] out = new float[encodings.size()][];
        for (int from = 0; from < order.length; from += BATCH) {
            int[] some = Arrays.copyOfRange(order, from, Math.min(order.length, from + BATCH));
            try (Scope _ = Scope.open()) {
                double[] values = Recording.off(() -> embed(batch(encodings, some), pass)).tensor().toDoubleArray();
                int width = values.length / some.length;
                for (int i = 0; i < some.length; i++) {
                    out[some[i]] = new float[width];
                    for (int c = 0; c < width; c++) {
                        out[some[i]][c] = (float) values[i * width + c];
                    }
                }
            }
        }
        return out;
    }

    private EncoderInput batch(List<Encoding> encodings, int[] some) {
        int time = 1;
        for (int i : some) {
            time = Math.max(time, encodings.get(i).length());
        }
        long[] ids = new long[some.length * time];
        long[] mask = new long[ids.length];
        for (int row = 0; row < some.length; row++) {
            int[] own = encodings.get(some[row]).ids();
            for (int t = 0; t < own.length; t++) {
                ids[row * time + t] = own[t];
                mask[row * time + t] = 1;
            }
        }
        return EncoderInput.of(Tensor.of(encoder.backend(), ids, some.length, time), Tensor.of(encoder.backend(), mask, some.length, time));
    }

    /**
     * The cosine of the angle between two vectors: 1 for the same direction.
     *
     * @throws IllegalArgumentException if they differ in length
     */
    public static double cosine(float[] a, float[] b) {
        if (a.length != b.length) {
            throw new IllegalArgumentException("vectors of " + a.length + " and " + b.length + " numbers have no angle between them. "
                    + "Compare vectors of one model.");
        }
        double dot = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            dot += (double) a[i] * b[i];
            aa += (double) a[i] * a[i];
            bb += (double) b[i] * b[i];
        }
        return dot / Math.max(1e-24, Math.sqrt(aa) * Math.sqrt(bb));
    }
}
