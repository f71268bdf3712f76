package dev.jotune.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.Config;
import dev.jotune.models.FreshWeights;
import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.tokenizer.BpeTrainer;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.TrainReport;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune pretrain}: a tiny Llama from nothing but text. */
@Command(name = "pretrain", sortOptions = false,
        description = {"Makes a tiny Llama of texts: learns a tokenizer, then trains all weights from a random start.", "",
            "The folder is one as published on the Hugging Face hub, for every command that takes a --model.",
            "Without --data it learns the town: who lives where in a made-up country, and who does what."},
        optionListHeading = "%nOptions:%n")
final class PretrainCommand implements Runnable {
    @Option(names = "--data", paramLabel = "FILE", description = "The texts: paragraphs in a file named .txt, else JSON lines "
            + "{\"text\": ...}. Default: the town, which Jotune writes itself.")
    private Path data;

    @Option(names = "--town", paramLabel = "N", defaultValue = "1", description = "Which town. Default: ${DEFAULT-VALUE}.")
    private long town;

    @Option(names = "--write-town", description = "Trains nothing, and writes the town to --out: texts.jsonl, questions.jsonl to tune "
            + "with, test.jsonl with questions to others, and facts.jsonl, what a model should know, for 'jotune eval'.")
    private boolean writeTown;

    @Option(names = "--vocab-size", paramLabel = "N", defaultValue = "512", description = "Tokens of the tokenizer that is learnt: "
            + "byte-level BPE (arXiv 1508.07909). Default: ${DEFAULT-VALUE}.")
    private int vocabulary;

    @Option(names = "--tokenizer", paramLabel = "FILE", description = "A tokenizer.json made by this command, instead of a new one.")
    private Path tokenizerFile;

    @Option(names = {"--out", "--output-dir"}, required = true, paramLabel = "DIR",
            description = "Where the model and the run's checkpoints go.")
    private Path out;

    @Option(names = "--resume", description = "Go on from the last checkpoint in --out, bit for bit as if never interrupted; "
            + "give the same options.")
    private boolean resume;

    @Mixin
    private PretrainOptions options;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        PrintWriter print = spec.commandLine().getOut();
        if (writeTown) {
            new TownText(town).write(out);
            print.println("saved " + out);
            return;
        }
        LlamaSize size = options.size();
        TrainOptions training = options.training();
        Backend backend = common.backend();
        if (!resume) {
            MergeCommand.checkNew(out);
        }
        List<String> texts = data == null ? new TownText(town).texts() : Dataset.readTexts(data);
        String tokenizerJson = tokenizer(texts);
        Tokenizer tokenizer = Tokenizer.parse(tokenizerJson, tokenizerFile == null ? "tokenizer.json" : tokenizerFile.toString());
        GenerationDefaults special = new GenerationDefaults(special(tokenizer, BpeTrainer.BEGIN),
                new int[] {special(tokenizer, BpeTrainer.END)}, -1);
        String config = size.config(tokenizer.vocabularySize(), training.maxLength(), special);
        Backbone model = Architectures.build(Config.parse(config, "config.json"),
                new FreshWeights(backend, training.seed(), size.layers(), size.deviation()), backend, DType.F32);
        Dataset rows = Dataset.ofPacked(texts, tokenizer, special, training.maxLength());
        Adapter weights = Adapters.create(model, Adapters.DEFAULT_NAME, FullTuning.DEFAULTS, training.seed());
        PrintWriter err = spec.commandLine().getErr();
        err.printf(Locale.ROOT, "%,d weights, %,d tokens in the vocabulary, %,d texts in %,d rows%n", parameters(model),
                tokenizer.vocabularySize(), texts.size(), rows.size());
        err.flush();
        TrainReport r;
        try (Progress progress = new Progress(err, "pretraining")) {
            r = progress.resumable(() -> Trainer.checkpointed(weights, rows, training, TrainingStep.of(model), Optional.of(out), resume,
                    progress));
        }
        write(weights, config, tokenizerJson, training.maxLength(), special);
        print.printf(Locale.ROOT, "loss %.4f -> %.4f in %,d steps, %.1f s, %,.0f tokens/s, peak memory %s%n", r.losses().getFirst(),
                r.lastLoss(), r.steps(), r.seconds(), r.tokensPerSecond(), Bytes.text(r.peakBytes()));
        print.println("saved " + out);
        print.flush();
    }

    private String tokenizer(List<String> texts) {
        if (tokenizerFile != null) {
            try {
                return Files.readString(tokenizerFile);
            } catch (IOException e) {
                throw new FailureException("cannot read " + tokenizerFile + ": " + e + ". Give a tokenizer.json", e);
            }
        }
        try {
            return BpeTrainer.train(texts, vocabulary);
        } catch (IllegalArgumentException e) {
            throw new UsageException("--vocab-size: " + e.getMessage(), e);
        }
    }

    private int special(Tokenizer tokenizer, String token) {
        return tokenizer.tokenToId(token).orElseThrow(() -> new FailureException(tokenizerFile + " has no token " + token
                + ". Give a tokenizer that marks where texts begin and end with <s> and </s>"));
    }

    private static long parameters(Backbone model) {
        return model.seams().parameters().values().stream().mapToLong(Parameter::numel).sum();
    }

    private void write(Adapter weights, String config, String tokenizerJson, int context, GenerationDefaults special) {
        JsonMapper json = new JsonMapper();
        ObjectNode generation = json.createObjectNode().put("bos_token_id", special.bosTokenId())
                .put("eos_token_id", special.eosTokenIds()[0]);
        ObjectNode about = json.createObjectNode().put("tokenizer_class", "PreTrainedTokenizerFast").put("bos_token", BpeTrainer.BEGIN)
                .put("eos_token", BpeTrainer.END).put("model_max_length", context);
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        files.put("model.safetensors", SafeTensorsWriter.contentOf(weights.mergedWeights(), Map.of("format", "pt")));
        files.put("tokenizer.json", AtomicFiles.Content.text(tokenizerJson));
        files.put("tokenizer_config.json", AtomicFiles.Content.text(about.toPrettyString()));
        files.put("generation_config.json", AtomicFiles.Content.text(generation.toPrettyString()));
        files.put("config.json", AtomicFiles.Content.text(config));
        try {
            AtomicFiles.writeAll(out, files);
        } catch (IOException e) {
            throw new FailureException("cannot write the model: " + e.getMessage(), e);
        }
    }
}
