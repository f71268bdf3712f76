package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Bayes' rule over models of attributes as a model: its logits are {@code ln P(a | x, x_<t)}, the probability that a text
 * has attribute a if its next token is x,
 *
 * <pre>P(a | x, x_&lt;t) = r_a(x) w_a / sum_b r_b(x) w_b,    w_a = prod over the tokens x_s after the prompt of r_a(x_s)</pre>
 *
 * where r_a is what {@link Evidence} makes of model a's probability. The weights w of a text are kept for each of its
 * places, so that going back costs nothing.
 */
final class AttributePosterior implements LanguageModel {

    private final List<LanguageModel> attributes;
    private final int wanted;
    private final Evidence evidence;

    AttributePosterior(List<LanguageModel> attributes, int wanted, Evidence evidence) {
        this.attributes = List.copyOf(attributes);
        Require.atLeast("The number of attributes", this.attributes.size(), 2, "A text has one attribute rather than another.");
        Term.sameVocabulary(this.attributes.stream().map(Term::of).toList());
        if (wanted < 0 || wanted >= this.attributes.size()) {
            throw new IllegalArgumentException("The wanted attribute is number " + wanted + ", but there are "
                    + this.attributes.size() + ". Number them from 0.");
        }
        this.wanted = wanted;
        this.evidence = evidence;
    }

    @Override
    public int vocabularySize() {
        return attributes.getFirst().vocabularySize();
    }

    @Override
    public int contextLength() {
        return attributes.stream().mapToInt(LanguageModel::contextLength).min().orElseThrow();
    }

    @Override
    public boolean readsUnequal() {
        return attributes.stream().allMatch(LanguageModel::readsUnequal);
    }

    @Override
    public Session open() {
        List<Session> opened = new ArrayList<>();
        try {
            for (LanguageModel attribute : attributes) {
                opened.add(attribute.open());
            }
            return new Weighing(opened);
        } catch (RuntimeException | Error e) {
            CompositeModel.closeAll(opened, e);
            throw e;
        }
    }

    private final class Weighing implements Session {
        private final List<Session> sessions;
        private final TokenHistory history = new TokenHistory();
        private final double[] normalizers;
        /** Logits of each attribute after {@code known} tokens, if {@code fresh}. */
        private final float[][] latest;
        private boolean fresh;
        private int prompt;
        /** {@code ln w} of each attribute by the number of tokens read; right from {@code prompt} to {@code known}. */
        private double[][] weights = new double[64][];
        private int known;

        Weighing(List<Session> sessions) {
            this.sessions = sessions;
            normalizers = new double[sessions.size()];
            latest = new float[sessions.size()][vocabularySize()];
        }

        @Override
        public int length() {
            return history.length();
        }

        @Override
        public void feed(int... tokens) {
            int before = history.length();
            int fed = 0;
            try {
                for (Session session : sessions) {
                    session.feed(tokens);
                    fed++;
                }
            } catch (RuntimeException e) {
                sessions.subList(0, fed).forEach(session -> session.rewind(before));
                throw e;
            }
            history.append(tokens);
            if (before == 0) {
                begin(tokens.length);
            }
        }

        private void begin(int promptLength) {
            prompt = promptLength;
            known = promptLength;
            fresh = false;
        }

        @Override
        public void logits(float[] out) {
            logits(new float[][] {out});
        }

        @Override
        public void logits(float[][] out) {
            int length = history.length();
            int first = length - out.length + 1;
            int from = Math.min(first, fresh ? known + 1 : known);
            float[][][] read = new float[sessions.size()][][];
            for (int a = 0; a < read.length; a++) {
                // As a rule one place: what was read last is kept.
                read[a] = new float[length - from + 1][vocabularySize()];
                if (read[a].length == 1) {
                    sessions.get(a).logits(read[a][0]);
                } else {
                    sessions.get(a).logits(read[a]);
                }
            }
            float[][] place = new float[read.length][];
            for (int at = Math.min(from, known); at <= length; at++) {
                for (int a = 0; a < read.length; a++) {
                    place[a] = at < from ? latest[a] : read[a][at - from];
                }
                normalize(place);
                if (at >= first) {
                    posterior(place, at < prompt ? new double[read.length] : weights(at), out[at - first]);
                }
                if (at >= known && at < length) {
                    weigh(place, at);
                }
            }
            for (int a = 0; a < read.length; a++) {
                System.arraycopy(read[a][length - from], 0, latest[a], 0, latest[a].length);
            }
            known = length;
            fresh = true;
        }

        private void normalize(float[][] place) {
            for (int a = 0; a < place.length; a++) {
                normalizers[a] = Distribution.logNormalizer(place[a]);
            }
        }

        /** {@code ln w} after {@code at} tokens, all 0 at the prompt's end. */
        private double[] weights(int at) {
            if (at >= weights.length) {
                weights = Arrays.copyOf(weights, 2 * at + 1);
            }
            if (weights[at] == null || at == prompt) {
                weights[at] = new double[sessions.size()];
            }
            return weights[at];
        }

        private void weigh(float[][] place, int at) {
            double[] before = weights(at);
            double[] after = weights(at + 1);
            int token = history.array()[at];
            for (int a = 0; a < after.length; a++) {
                after[a] = before[a] + evidence.log(place[a][token] - normalizers[a]);
            }
        }

        private void posterior(float[][] place, double[] logWeights, float[] out) {
            double[] each = new double[place.length];
            for (int token = 0; token < out.length; token++) {
                double most = Double.NEGATIVE_INFINITY;
                for (int a = 0; a < each.length; a++) {
                    each[a] = logWeights[a] + evidence.log(place[a][token] - normalizers[a]);
                    most = Math.max(most, each[a]);
                }
                double sum = 0;
                for (double one : each) {
                    sum += Math.exp(one - most);
                }
                // No attribute gives the token, so it is evidence of none (0 / 0 in the equation).
                out[token] = most == Double.NEGATIVE_INFINITY ? Float.NEGATIVE_INFINITY : (float) (each[wanted] - most - Math.log(sum));
            }
        }

        @Override
        public void rewind(int length) {
            history.rewind(length);
            sessions.forEach(session -> session.rewind(length));
            fresh &= length >= known;
            known = Math.min(known, length);
            if (length < prompt) {
                begin(length);
            }
        }

        @Override
        public void close() {
            CompositeModel.closeAll(sessions, null);
        }
    }
}
