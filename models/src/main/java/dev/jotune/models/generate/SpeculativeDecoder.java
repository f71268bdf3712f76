package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/** Runs {@link SpeculativeDecoding}, text by text. */
final class SpeculativeDecoder {

    private final LanguageModel model;
    private final SpeculativeDecoding settings;
    private final Function<Writing, Draws> chances;

    SpeculativeDecoder(LanguageModel model, SpeculativeDecoding settings) {
        this(model, settings, text -> Draws.of(text.options().seed(), text.row()));
    }

    SpeculativeDecoder(LanguageModel model, SpeculativeDecoding settings, Function<Writing, Draws> chances) {
        this.model = model;
        this.settings = settings;
        this.chances = chances;
    }

    List<List<Hypothesis>> write(List<Writing> texts) {
        List<List<Hypothesis>> results = new ArrayList<>();
        for (Writing text : texts) {
            try (LanguageModel.Session target = model.open(); LanguageModel.Session draft = settings.draft().open()) {
                results.add(List.of(new Hypothesis(new Text(text, target, draft).write(), Double.NaN)));
            }
        }
        return results;
    }

    private final class Text {
        private final Writing writing;
        private final LanguageModel.Session target;
        private final LanguageModel.Session draft;
        private final LogitsProcessor processor;
        private final boolean greedy;
        private final Draws draws;
        private final Distribution distribution = new Distribution();
        private final int vocabulary = model.vocabularySize();
        private final float[][] logits = new float[settings.tokens() + 1][vocabulary];
        private final double[][] drafted = new double[settings.tokens()][vocabulary];
        private final double[] wanted = new double[vocabulary];
        private final int[] proposed = new int[settings.tokens()];
        /** The text so far and what is drafted after it. */
        private int[] ahead = new int[0];

        Text(Writing writing, LanguageModel.Session target, LanguageModel.Session draft) {
            this.writing = writing;
            this.target = target;
            this.draft = draft;
            List<LogitsProcessor> all = new ArrayList<>(writing.changes());
            all.addAll(writing.options().draws());
            processor = LogitsProcessor.chain(all);
            greedy = writing.options().isGreedy();
            draws = chances.apply(writing);
        }

        Generation write() {
            FinishReason reason = null;
            boolean first = true;
            while (reason == null) {
                int n = propose();
                int length = writing.length();
                feed(target, length + n);
                float[][] out = Arrays.copyOf(logits, n + 1);
                target.logits(out);
                if (first) {
                    writing.promptWasRead();
                    first = false;
                }
                reason = accept(n, length);
                // What was not kept is forgotten; the newest token is read in the next round.
                target.rewind(Math.min(target.length(), writing.length() - 1));
                draft.rewind(Math.min(draft.length(), writing.length() - 1));
            }
            return writing.finish(reason);
        }

        /** What a session is fed first is its prompt, so what is drafted follows apart. */
        private void feed(LanguageModel.Session session, int to) {
            if (session.length() == 0) {
                session.feed(writing.prompt());
            }
            session.feed(Arrays.copyOfRange(ahead, session.length(), to));
        }

        /** Drafts tokens; gives their number. */
        private int propose() {
            int length = writing.length();
            // One token is always the model's own, and the draft model's context may be the shorter one.
            int n = Math.min(settings.tokens(), writing.limit() - writing.written() - 1);
            n = Math.min(n, settings.draft().contextLength() - length + 1);
            if (ahead.length < length + settings.tokens()) {
                ahead = new int[2 * (length + settings.tokens())];
            }
            System.arraycopy(writing.history(), 0, ahead, 0, length);
            for (int i = 0; i < n; i++) {
                feed(draft, length + i);
                draft.logits(logits[i]);
                processor.apply(ahead, length + i, logits[i]);
                if (isRuledOut(logits[i])) {
                    return i;
                }
                proposed[i] = greedy ? Sampler.argmax(logits[i]) : draws.among(probabilities(logits[i], drafted[i]));
                ahead[length + i] = proposed[i];
            }
            return Math.max(n, 0);
        }

        private FinishReason accept(int n, int length) {
            for (int i = 0; i < n; i++) {
                int token = proposed[i];
                processor.apply(ahead, length + i, logits[i]);
                int instead = greedy ? Sampler.argmax(logits[i]) : judge(token, logits[i], drafted[i]);
                FinishReason reason = writing.take(instead);
                if (reason != null || instead != token) {
                    return reason;
                }
            }
            processor.apply(ahead, length + n, logits[n]);
            return writing.take(greedy ? Sampler.argmax(logits[n]) : draws.among(probabilities(logits[n], wanted)));
        }

        /** Keeps the token with probability {@code min(1, p / q)}, else draws one of what p has more than q. */
        private int judge(int token, float[] target, double[] q) {
            double[] p = probabilities(target, wanted);
            if (draws.yes(Math.min(1, p[token] / q[token]))) {
                return token;
            }
            double more = 0;
            for (int i = 0; i < p.length; i++) {
                q[i] = Math.max(0, p[i] - q[i]);
                more += q[i];
            }
            // Nothing is left only where rounding alone refused the token.
            return draws.among(more > 0 ? q : p);
        }

        private double[] probabilities(float[] of, double[] out) {
            distribution.of(of);
            for (int i = 0; i < out.length; i++) {
                out[i] = distribution.probability(i);
            }
            return out;
        }

        private static boolean isRuledOut(float[] of) {
            for (float logit : of) {
                if (logit != Float.NEGATIVE_INFINITY) {
                    return false;
                }
            }
            return true;
        }
    }
}
