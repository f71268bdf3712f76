package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.generate.BeamSearch;
import dev.jotune.models.generate.BeamSearch.EarlyStopping;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.ContrastiveSearch;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.generate.Strategy;
import dev.jotune.models.generate.TextGenerator;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import picocli.CommandLine.Option;

/** How a text is looked for and what it may be, named as transformers' generation config names it. */
final class SearchArguments {
    private static final int CANDIDATES = 4;

    @Option(names = {"--num-beams", "--beams"}, paramLabel = "N", description = "Beam search: follow the N likeliest texts side by "
            + "side. Default: 1, token by token.")
    private int beams = 1;

    @Option(names = "--length-penalty", paramLabel = "X", description = "With beams: texts are ranked by log-probability / length^X. "
            + "Default: 1.")
    private Double lengthPenalty;

    @Option(names = "--early-stopping", paramLabel = "WHEN", description = "With beams: true, false or never, when to stop once N "
            + "texts have ended. Default: false.")
    private String earlyStopping;

    @Option(names = "--patience", paramLabel = "X", description = "With beams: stop when X times N texts have ended; turns early "
            + "stopping on.")
    private Double patience;

    @Option(names = "--num-return-sequences", paramLabel = "N", description = "With beams: print the N best texts. Default: 1.")
    private Integer returned;

    @Option(names = {"--penalty-alpha", "--contrastive-alpha"}, paramLabel = "X", description = "Contrastive search: of the "
            + "--top-k (default: 4) likeliest tokens the one least like the text so far, weighed by X from 0 to 1.")
    private Double penaltyAlpha;

    @Option(names = "--draft", paramLabel = "MODEL", description = "Speculative decoding: a small model with the same tokenizer, "
            + "or a --member, drafts, the model checks; the text is as likely as without.")
    private String draft;

    @Option(names = "--num-assistant-tokens", paramLabel = "N", description = "How many tokens --draft drafts at a time. Default: 4.")
    private Integer drafted;

    @Option(names = "--regex", paramLabel = "REGEX", description = "Write only what matches this regular expression as a whole.")
    private String regex;

    @Option(names = "--choices", paramLabel = "FILE", description = "Write one of the lines of this UTF-8 file.")
    private Path choices;

    /** Whether {@code --top-k} is about contrastive search. */
    boolean isContrastive() {
        return penaltyAlpha != null;
    }

    /**
     * What can be said without a model.
     *
     * @throws UsageException naming options that contradict each other or are out of range
     */
    void check(OptionalInt topK) {
        int ways = (beams != 1 ? 1 : 0) + (penaltyAlpha != null ? 1 : 0) + (draft != null ? 1 : 0);
        if (ways > 1) {
            throw new UsageException("--num-beams, --penalty-alpha and --draft are different ways to look for a text. Choose one.");
        }
        boolean aboutBeams = lengthPenalty != null || earlyStopping != null || patience != null || returned != null;
        if (aboutBeams && beams == 1) {
            throw new UsageException("--length-penalty, --early-stopping, --patience and --num-return-sequences are about beam "
                    + "search. Add --num-beams.");
        }
        if (drafted != null && draft == null) {
            throw new UsageException("--num-assistant-tokens is about a draft model. Add --draft.");
        }
        if (regex != null && choices != null) {
            throw new UsageException("--regex and --choices both say what the text may be. Choose one.");
        }
        try {
            if (draft == null) {
                strategy(topK);
            }
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private Strategy strategy(OptionalInt topK) {
        if (penaltyAlpha != null) {
            return new ContrastiveSearch(penaltyAlpha, topK.orElse(CANDIDATES));
        }
        if (beams == 1) {
            return Strategy.STEPWISE;
        }
        EarlyStopping when = patience != null && earlyStopping == null ? EarlyStopping.TRUE : stopping();
        return new BeamSearch(beams, lengthPenalty == null ? 1 : lengthPenalty, when, patience == null ? 1 : patience,
                returned == null ? 1 : returned);
    }

    private EarlyStopping stopping() {
        return switch (earlyStopping == null ? "false" : earlyStopping.toLowerCase(Locale.ROOT)) {
            case "false" -> EarlyStopping.FALSE;
            case "true" -> EarlyStopping.TRUE;
            case "never" -> EarlyStopping.NEVER;
            default -> throw new UsageException("--early-stopping is '" + earlyStopping + "'. Write true, false or never.");
        };
    }

    /**
     * The generator as these options have it.
     *
     * @param members models that {@code --draft} may name
     * @throws UsageException naming options that do not go with the model or with sampling
     */
    TextGenerator apply(TextGenerator plain, OptionalInt topK, Backend backend, Map<String, LanguageModel> members) {
        try {
            TextGenerator generator = plain.with(draft == null ? strategy(topK) : drafting(backend, members));
            if (regex != null) {
                return generator.matching(regex);
            }
            return choices == null ? generator : generator.choosing(lines());
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private Strategy drafting(Backend backend, Map<String, LanguageModel> members) {
        LanguageModel drafter = members.get(draft);
        if (drafter == null) {
            Models.Loaded loaded = Models.open(draft, backend, DType.F32);
            drafter = new CausalLanguageModel(loaded.model(), loaded.model().seams()::inference);
        }
        return new SpeculativeDecoding(drafter, drafted == null ? SpeculativeDecoding.DEFAULT_TOKENS : drafted);
    }

    private List<String> lines() {
        try {
            List<String> lines = Files.readAllLines(choices).stream().filter(line -> !line.isBlank()).toList();
            if (lines.isEmpty()) {
                throw new FailureException("the file " + choices + " has no line to choose. Write one text a line.");
            }
            return lines;
        } catch (CharacterCodingException e) {
            throw new FailureException("the file " + choices + " is not UTF-8. Save it as UTF-8.", e);
        } catch (NoSuchFileException e) {
            throw new FailureException("there is no file " + choices + ". Name a file with one text a line.", e);
        } catch (IOException e) {
            throw new FailureException("cannot read the choices in " + choices + ": " + e.getMessage(), e);
        }
    }
}
