package dev.jotune.cli;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.AudioClassifier;
import dev.jotune.models.Backbone;
import dev.jotune.models.Classifier;
import dev.jotune.models.DualEncoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.ImageClassifier;
import dev.jotune.models.ImageInput;
import dev.jotune.models.Models;
import dev.jotune.models.audio.AudioFeatures;
import dev.jotune.models.audio.Waveform;
import dev.jotune.models.image.ImagePreprocessor;
import dev.jotune.models.image.RgbImage;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Tensor;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jotune classify}: what a picture shows or a sound is. */
@Command(name = "classify", sortOptions = false,
        description = {"Says what a picture shows or a sound is.", "",
            "  ViT                            PNG or JPEG, one of the model's labels",
            "  CLIP                           PNG or JPEG, one of the texts of --labels",
            "  Audio Spectrogram Transformer  WAV, one of the model's labels", "",
            "The model's folder must have its preprocessor_config.json."},
        optionListHeading = "%nOptions:%n")
final class ClassifyCommand implements Runnable {
    @Parameters(paramLabel = "FILE", description = "The picture or the sound.")
    private Path file;

    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Option(names = "--labels", paramLabel = "TEXTS", split = ",",
            description = "For CLIP: texts to choose from, between commas, such as \"a photo of a cat,a photo of a dog\".")
    private List<String> labels = List.of();

    @Option(names = "--top", paramLabel = "N", defaultValue = "5", description = "How many labels to print. Default: ${DEFAULT-VALUE}.")
    private int top;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    /** A label and how likely it is. */
    private record Guess(String label, double probability) {}

    @Override
    public void run() {
        if (top < 1) {
            throw new UsageException("--top is " + top + "; it must be at least 1");
        }
        Models.Loaded loaded = model.load(common.backend());
        adapters.attach(loaded.backbone());
        List<Guess> guesses = Recording.off(() -> guesses(loaded));
        PrintWriter out = spec.commandLine().getOut();
        guesses.stream().sorted(Comparator.comparingDouble(Guess::probability).reversed()).limit(top)
                .forEach(g -> out.printf(Locale.ROOT, "%.4f  %s%n", g.probability(), g.label()));
        out.flush();
    }

    private List<Guess> guesses(Models.Loaded loaded) {
        Backbone m = loaded.backbone();
        Pass pass = m.seams().inference();
        if (!labels.isEmpty() && !(m instanceof DualEncoder)) {
            throw new UsageException("--labels are for CLIP; a " + m.modelType() + " model has labels of its own");
        }
        return switch (m) {
            case ImageClassifier c -> guesses(c, c.forward(picture(m), pass), pass);
            case AudioClassifier c -> guesses(c, c.forward(spectrogram(m), pass), pass);
            case DualEncoder c -> matches(c, loaded.requireTokenizer(), pass);
            default -> throw new FailureException("a " + m.modelType() + " model (" + m.getClass().getSimpleName()
                    + ") classifies neither pictures nor sounds. Take a ViT, a CLIP or an Audio Spectrogram Transformer");
        };
    }

    private static List<Guess> guesses(Classifier c, Hidden hidden, Pass pass) {
        double[] p = c.probabilities(c.logits(hidden, pass)).tensor().toDoubleArray();
        return IntStream.range(0, p.length).mapToObj(i -> new Guess(c.labels().get(i), p[i])).toList();
    }

    /** How well the picture goes with each text, as shares of 1. */
    private List<Guess> matches(DualEncoder c, Tokenizer tokenizer, Pass pass) {
        if (labels.isEmpty()) {
            throw new UsageException("CLIP has no labels of its own; give some with --labels \"a photo of a cat,a photo of a dog\"");
        }
        List<Var> texts = new ArrayList<>();
        for (String label : labels) {
            Encoding e = tokenizer.encode(label, true);
            long[] ids = IntStream.of(e.ids()).asLongStream().toArray();
            texts.add(c.textFeatures(EncoderInput.of(Tensor.of(c.backend(), ids, 1, ids.length)), pass));
        }
        Var image = c.imageFeatures(picture(c), pass);
        double[] p = Softmax.softmax(c.logitsPerImage(image, Var.concat(0, texts.toArray(Var[]::new)), pass)).tensor().toDoubleArray();
        return IntStream.range(0, p.length).mapToObj(i -> new Guess(labels.get(i), p[i])).toList();
    }

    private ImageInput picture(Backbone m) {
        ImagePreprocessor preprocessor = ImagePreprocessor.read(Models.locate(model.name()));
        return ImageInput.of(Var.constant(preprocessor.pixelValues(m.backend(), m.computeType(), List.of(RgbImage.read(file)))));
    }

    private Var spectrogram(Backbone m) {
        AudioFeatures features = AudioFeatures.read(Models.locate(model.name()));
        Waveform sound = Waveform.read(file);
        if (sound.samplingRate() != features.samplingRate()) {
            throw new FailureException(file + " has " + sound.samplingRate() + " samples a second, the model reads "
                    + features.samplingRate() + ". Convert it, for example with 'sox in.wav -r " + features.samplingRate() + " out.wav'");
        }
        return Var.constant(features.features(m.backend(), m.computeType(), List.of(sound.samples())));
    }
}
