package dev.jotune.peft.train;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.FinishReason;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.Scope;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Measures of a model under the adapters of a pass, all without dropout. */
public final class Evaluation {
    private static final int BATCH = 8;
    /** Rows of a batch to classify. */
    private static final int CLASSIFIED = 32;

    private Evaluation() {}

    /**
     * @param value {@code exp(negativeLogLikelihood)}
     * @param negativeLogLikelihood mean over the labels, in nats
     * @param tokens labels
     * @param cut examples that lost their end to the context
     */
    public record Perplexity(double value, double negativeLogLikelihood, long tokens, int cut) {}

    /** So many of so many. */
    public record Score(int right, int total) {
        /** In [0, 1]. */
        public double share() {
            return (double) right / Math.max(1, total);
        }
    }

    /** A prompt and what should follow. */
    public record Pair(String prompt, String completion) {}

    /**
     * A question with given answers.
     *
     * @param answer the right one's index
     */
    public record Choice(String prompt, List<String> choices, int answer) {
        /** @throws IllegalArgumentException if there are not two choices, or the answer is none of them */
        public Choice {
            choices = List.copyOf(choices);
            if (choices.size() < 2 || answer < 0 || answer >= choices.size()) {
                throw new IllegalArgumentException("the answer " + answer + " is not the index of one of "
                        + choices.size()
                        + " choices. Give at least two, and count from 0.");
            }
        }
    }

    // ---- perplexity ----

    /**
     * {@code exp} of the mean negative log-likelihood of all labels, each label counting the same however long its
     * text is.
     *
     * @throws AdapterException if no label is left
     */
    public static Perplexity perplexity(CausalLm model, Dataset data, Pass pass) {
        Group group = group(pass);
        Dataset fitting = data.cutTo(room(model, group));
        boolean first = group.virtualTokens(model.seams().input().name()) > 0;
        // Neighbours of similar length need little padding.
        List<Example> sorted = new ArrayList<>();
        for (int i = 0; i < fitting.size(); i++) {
            if (fitting.get(i).labelCount(first) > 0) {
                sorted.add(fitting.get(i));
            }
        }
        if (sorted.isEmpty()) {
            throw new AdapterException("none of the " + data.size()
                    + " examples has a token to predict. Give texts of at "
                    + "least two tokens.");
        }
        sorted.sort(Comparator.comparingInt(Example::length));
        double sum = 0;
        long count = 0;
        for (int i = 0; i < sorted.size(); i += BATCH) {
            try (Scope _ = Scope.open()) {
                Batch b = Batch.of(sorted.subList(i, Math.min(sorted.size(), i + BATCH)), model.backend(), first);
                sum += b.labelCount() * loss(model, b, pass);
                count += b.labelCount();
            }
        }
        return new Perplexity(Math.exp(sum / count), sum / count, count, fitting.cut());
    }

    /**
     * The perplexity of any language model, such as a combination of several; of one transformer the other method gives the same, faster.
     *
     * @throws AdapterException if no label is left
     */
    public static Perplexity perplexity(LanguageModel model, Dataset data) {
        Dataset fitting = data.cutTo(model.contextLength());
        double sum = 0;
        long count = 0;
        for (int i = 0; i < fitting.size(); i++) {
            Example e = fitting.get(i);
            if (e.labelCount(false) > 0) {
                sum += negativeLogLikelihood(model, e);
                count += e.labelCount(false);
            }
        }
        if (count == 0) {
            throw new AdapterException("none of the " + data.size() + " examples has a token to predict. Give texts of at least two tokens.");
        }
        return new Perplexity(Math.exp(sum / count), sum / count, count, fitting.cut());
    }

    /** Of all labels of one text, summed. */
    private static double negativeLogLikelihood(LanguageModel model, Example e) {
        float[][] logits = new float[e.length() - 1][model.vocabularySize()];
        try (LanguageModel.Session session = model.open()) {
            session.feed(Arrays.copyOf(e.ids(), e.length() - 1));
            session.logits(logits);
        }
        double sum = 0;
        for (int t = 1; t < e.length(); t++) {
            if (e.labels()[t] != Example.IGNORED) {
                sum += logSumExp(logits[t - 1]) - logits[t - 1][e.labels()[t]];
            }
        }
        return sum;
    }

    private static double logSumExp(float[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (float x : logits) {
            max = Math.max(max, x);
        }
        double sum = 0;
        for (float x : logits) {
            sum += Math.exp(x - max);
        }
        return max + Math.log(sum);
    }

    // ---- classes ----

    /** How often the class with the highest logit is the text's own; the first wins a tie. */
    public static Score accuracy(SequenceClassifier model, Dataset data, Pass pass) {
        Dataset fitting = data.cutTo(room(model, group(pass)));
        List<Example> sorted = new ArrayList<>();
        for (int i = 0; i < fitting.size(); i++) {
            sorted.add(fitting.get(i));
        }
        sorted.sort(Comparator.comparingInt(Example::length));
        int right = 0;
        for (int i = 0; i < sorted.size(); i += CLASSIFIED) {
            List<Example> some = sorted.subList(i, Math.min(sorted.size(), i + CLASSIFIED));
            try (Scope _ = Scope.open()) {
                Batch b = Batch.of(some, model.backend(), false);
                double[] logits = Recording.off(() -> model.logits(model.forward(b.texts(), pass), pass)).tensor().toDoubleArray();
                int classes = logits.length / some.size();
                for (int row = 0; row < some.size(); row++) {
                    right += best(logits, row * classes, classes) == some.get(row).category() ? 1 : 0;
                }
            }
        }
        return new Score(right, sorted.size());
    }

    private static int best(double[] logits, int from, int classes) {
        int best = 0;
        for (int c = 1; c < classes; c++) {
            best = logits[from + c] > logits[from + best] ? c : best;
        }
        return best;
    }

    private static double loss(CausalLm model, Batch b, Pass pass) {
        return Recording.off(() -> model.loss(b.input(), b.labels(), pass)).item();
    }

    private static Group group(Pass pass) {
        if (!pass.isUniform()) {
            throw new IllegalArgumentException("a measurement needs all rows under the same adapters, the pass has "
                    + pass.groups().size() + " groups. Measure them one after the other.");
        }
        return pass.groups().getFirst();
    }

    private static int room(Backbone model, Group group) {
        return (int) (model.contextLength() - group.virtualTokens(model.seams().input().name()) - group.segmentPositions());
    }

    // ---- exact match ----

    /** Reads {@code {"prompt": ..., "completion": ...}} a line. */
    public static List<Pair> readPairs(Path file) {
        List<Pair> out = new ArrayList<>();
        JsonLines.read(file, line -> out.add(new Pair(line.text("prompt"), line.text("completion"))));
        return out;
    }

    /**
     * How often what the model writes greedily after the prompt, up to its end token, is the completion, spaces at
     * both ends apart.
     *
     * @param special which tokens end a text
     */
    public static Score exactMatch(CausalLm model, Tokenizer tokenizer, GenerationDefaults special, Pass pass,
            List<Pair> pairs) {
        return exactMatch(new CausalLanguageModel(model, pass), tokenizer, special, pairs);
    }

    /** As above, of any language model, such as a combination of several. */
    public static Score exactMatch(LanguageModel language, Tokenizer tokenizer, GenerationDefaults special, List<Pair> pairs) {
        TextEncoder encoder = new TextEncoder(tokenizer, special, 0);
        int right = 0;
        for (Pair pair : pairs) {
            int[] prompt = encoder.prompt(pair.prompt());
            // Twice the tokens and a few: the same text may be written in smaller tokens, a longer text is wrong
            // anyway.
            int most = 2 * encoder.labelled(pair.prompt(), pair.completion()).labelCount(false) + 8;
            SamplingOptions greedy = SamplingOptions.builder().maxNewTokens(most)
                    .eosTokenIds(special.eosTokenIds()).build();
            Generation g = new Generator(language, greedy).generate(prompt);
            int written = g.newTokens() - (g.finishReason() == FinishReason.END_TOKEN ? 1 : 0);
            String text = tokenizer.decode(Arrays.copyOf(g.tokens(), written), true);
            right += text.strip().equals(pair.completion().strip()) ? 1 : 0;
        }
        return new Score(right, pairs.size());
    }

    // ---- choices ----

    /** Reads {@code {"prompt": ..., "choices": [...], "answer": index}} a line. */
    public static List<Choice> readChoices(Path file) {
        List<Choice> out = new ArrayList<>();
        JsonLines.read(file, line -> {
            List<String> choices = new ArrayList<>();
            for (JsonNode c : line.get("choices")) {
                choices.add(line.text("choices", c));
            }
            JsonNode answer = line.get("answer");
            if (!answer.canConvertToInt() || !answer.isIntegralNumber()) {
                throw line.wrong("\"answer\" holds " + answer + ", not the index of a choice");
            }
            try {
                out.add(new Choice(line.text("prompt"), choices, answer.intValue()));
            } catch (IllegalArgumentException e) {
                throw line.wrong(e.getMessage().replaceAll("\\.$", ""));
            }
        });
        return out;
    }

    /**
     * How often the right choice is the likeliest, by the mean log-probability of its tokens given the prompt: the sum
     * divided by the number of tokens, so that long choices are not at a disadvantage. The first wins a tie.
     */
    public static Score choiceAccuracy(CausalLm model, Tokenizer tokenizer, GenerationDefaults special, Pass pass,
            List<Choice> questions) {
        // Without an end token: a choice is not the end of a text.
        TextEncoder encoder = new TextEncoder(tokenizer, new GenerationDefaults(special.bosTokenId(), new int[0],
                special.padTokenId()), 0);
        boolean first = group(pass).virtualTokens(model.seams().input().name()) > 0;
        int right = 0;
        for (Choice q : questions) {
            int best = 0;
            double least = Double.POSITIVE_INFINITY;
            for (int i = 0; i < q.choices().size(); i++) {
                try (Scope _ = Scope.open()) {
                    Batch b = Batch.of(List.of(encoder.labelled(q.prompt(), q.choices().get(i))), model.backend(),
                            first);
                    if (b.labelCount() == 0) {
                        throw new AdapterException("choice " + i + " of the prompt '" + q.prompt()
                                + "' has no token. Give it "
                                + "a text.");
                    }
                    double nll = loss(model, b, pass);
                    if (nll < least) {
                        least = nll;
                        best = i;
                    }
                }
            }
            right += best == q.answer() ? 1 : 0;
        }
        return new Score(right, questions.size());
    }
}
