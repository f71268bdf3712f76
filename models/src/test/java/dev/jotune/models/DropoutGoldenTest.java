package dev.jotune.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.ast.AstClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.vit.ViTClassifier;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What each field of dropout drops, against transformers: with a rate of almost 1 for one field and 0 for the others, the logits of a
 * training pass are those of the original with a rate of 1 ({@code golden/make_dropout.py}).
 */
@Tag("golden")
class DropoutGoldenTest {
    private static final int ROWS = 2;
    private static final int TIME = 5;
    /** So near to 1 that nothing is kept; 1 itself is refused. */
    private static final double EVERYTHING = 1 - 0x1p-50;
    /** The original computes its RMS norms in single precision whatever the model is in. */
    private static final double TOLERANCE = 5e-6;
    private static final List<String> FIELDS = List.of("attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout_prob",
            "attention_probs_dropout_prob", "classifier_dropout", "dropout", "activation_dropout", "dropout_rate", "seq_classif_dropout",
            "cls_dropout", "pooler_dropout");

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> whatIsDroppedIsWhatTheOriginalDrops() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.list(Golden.folder("dropout"))) {
            for (Path expected : files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList()) {
                String name = expected.getFileName().toString().replace(".safetensors", "");
                Golden.arrays(expected).forEach((field, want) -> tests.add(DynamicTest.dynamicTest(name + " " + field, () -> {
                    double[] got = logits(with(name, field));
                    assertThat(got).hasSameSizeAs(want.values());
                    for (int i = 0; i < got.length; i++) {
                        assertThat(got[i]).as("logit %d", i).isCloseTo(want.values()[i], within(TOLERANCE * Math.max(1, Math.abs(want.values()[i]))));
                    }
                })));
            }
        }
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    /** A checkpoint whose configuration has a rate for one field and 0 for the others. */
    private Path with(String name, String field) throws IOException {
        Path from = Golden.folder("models").resolve(name);
        Path to = Files.createDirectories(folder.resolve(name + "." + field));
        try (Stream<Path> files = Files.list(from)) {
            for (Path f : files.filter(Files::isRegularFile).toList()) {
                Files.copy(f, to.resolve(f.getFileName()));
            }
        }
        JsonNode config = Golden.json(from.resolve("config.json"));
        FIELDS.stream().filter(config::has).forEach(f -> ((ObjectNode) config).put(f, 0));
        ((ObjectNode) config).put(field, EVERYTHING);
        Files.writeString(to.resolve("config.json"), config.toString());
        return to;
    }

    private static double[] logits(Path checkpoint) {
        Backbone model = Models.load(checkpoint, Backends.reference(), DType.F64).backbone();
        Pass pass = Pass.training(List.of(), 1, 0);
        Config c = Config.read(checkpoint.resolve("config.json"));
        Var out = Recording.off(() -> switch (model) {
            case CausalLm m -> m.logits(m.forward(DecoderInput.of(ids(m.vocabularySize(), 0)), pass, Optional.empty()).text(), pass);
            case Seq2SeqLm m -> m.logits(m.decode(DecoderInput.of(ids(m.vocabularySize(), 1)), m.encode(source(m, c), pass), pass,
                    Optional.empty()).text(), pass);
            case MaskedLm m -> m.logits(m.forward(text(c), pass).text(), pass);
            case SequenceClassifier m -> m.logits(m.forward(text(c), pass), pass);
            case ViTClassifier m -> m.logits(m.forward(ImageInput.of(waves(ROWS, m.config().numChannels(), m.config().imageSize().getFirst(),
                    m.config().imageSize().getLast())), pass), pass);
            case AstClassifier m -> m.logits(m.forward(waves(ROWS, m.config().maxLength(), m.config().numMelBins()), pass), pass);
            default -> throw new AssertionError("no input is known for a " + model.getClass().getSimpleName());
        });
        return out.tensor().toDoubleArray();
    }

    private static EncoderInput text(Config c) {
        return EncoderInput.of(ids(c.size("vocab_size"), 0));
    }

    private static EncoderInput source(Seq2SeqLm model, Config c) {
        return model.modelType().equals("whisper")
                ? EncoderInput.of(waves(ROWS, c.size("num_mel_bins"), 2 * c.size("max_source_positions")))
                : EncoderInput.of(ids(model.vocabularySize(), 0));
    }

    /** Token t of row b is {@code (7 b + 3 t + offset) mod (V - 3) + 3}. */
    private static Tensor ids(int vocabulary, int offset) {
        long[] ids = new long[ROWS * TIME];
        Arrays.setAll(ids, i -> (7 * (i / TIME) + 3 * (i % TIME) + offset) % (vocabulary - 3) + 3);
        return Tensor.of(Backends.reference(), ids, ROWS, TIME);
    }

    /** Element i is {@code sin(0.1 i)}. */
    private static Var waves(long... shape) {
        double[] values = new double[Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b))];
        Arrays.setAll(values, i -> Math.sin(0.1 * i));
        return Var.constant(Tensor.of(Backends.reference(), DType.F64, values, shape));
    }
}
