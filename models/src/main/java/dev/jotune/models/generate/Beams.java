package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The beams of one prompt: those that run, in the order of their scores, and the best that have ended. */
final class Beams {

    private final BeamSearch search;
    private final Writing text;
    private final LogitsProcessor processor;
    private final Candidates candidates;
    private final Distribution distribution = new Distribution();
    private int[][] running;
    private int[][] next;
    private double[] scores;
    private double[] nextScores;
    private final int[] parents;
    private int size = 1;
    private int written;
    private final List<Ended> ended = new ArrayList<>();

    /** A text that has ended, by its normalised score. */
    record Ended(int[] tokens, FinishReason reason, double score) {
    }

    Beams(BeamSearch search, Writing text) {
        this.search = search;
        this.text = text;
        this.processor = LogitsProcessor.chain(text.changes());
        int k = search.beams();
        // As many as leave k that go on, should all the likeliest end.
        candidates = new Candidates(Math.max(2, 1 + text.options().eosTokenIds().size()) * k);
        running = new int[k][2 * text.promptLength()];
        next = new int[k][2 * text.promptLength()];
        scores = new double[k];
        nextScores = new double[k];
        parents = new int[k];
        System.arraycopy(text.history(), 0, running[0], 0, text.promptLength());
    }

    /** Number of running beams. */
    int size() {
        return size;
    }

    /** Which beam of the step before a running beam goes on from. */
    int parent(int beam) {
        return parents[beam];
    }

    /** The newest token of a running beam. */
    int token(int beam) {
        return running[beam][text.promptLength() + written - 1];
    }

    Writing text() {
        return text;
    }

    /**
     * Takes a step.
     *
     * @param logits [rows][V], those of this prompt's beams from row {@code first} on; changed
     * @return whether the search goes on
     */
    boolean step(float[][] logits, int first) {
        candidates.clear();
        int length = text.promptLength() + written;
        for (int beam = 0; beam < size; beam++) {
            float[] values = logits[first + beam];
            distribution.of(values);
            for (int token = 0; token < values.length; token++) {
                values[token] = (float) distribution.logProbability(values[token]);
            }
            processor.apply(running[beam], length, values);
            candidates.offer(beam, scores[beam], values);
        }
        written++;
        makeRoom(length + 1);
        advance(length);
        int[][] old = running;
        running = next;
        next = old;
        double[] oldScores = scores;
        scores = nextScores;
        nextScores = oldScores;
        return size > 0 && !isOver();
    }

    /** Sorts the candidates into those that end here and those that go on. */
    private void advance(int length) {
        size = 0;
        double norm = Math.pow(written, search.lengthPenalty());
        for (int i = 0; i < candidates.size() && size < search.beams(); i++) {
            int[] history = next[size];
            System.arraycopy(running[candidates.beam(i)], 0, history, 0, length);
            history[length] = candidates.token(i);
            FinishReason reason = text.ending(history, length + 1);
            if (reason == null) {
                parents[size] = candidates.beam(i);
                nextScores[size++] = candidates.score(i);
            } else if (i < search.beams()) {
                // Those after the first k stand by only to fill the places of those that end.
                keep(new Ended(Arrays.copyOf(history, length + 1), reason, candidates.score(i) / norm));
            }
        }
        if (size == 0 && ended.isEmpty()) {
            throw new IllegalStateException("Every token after every beam is ruled out, and no text has ended. Loosen the "
                    + "constraint, the suppressed or bad words or the ban on repeated n-grams.");
        }
    }

    private void makeRoom(int length) {
        for (int beam = 0; length > running[0].length; beam++) {
            running[running.length - 1 - beam] = Arrays.copyOf(running[running.length - 1 - beam], 2 * length);
            next[next.length - 1 - beam] = new int[2 * length];
        }
    }

    private void keep(Ended one) {
        int at = ended.size();
        while (at > 0 && ended.get(at - 1).score() < one.score()) {
            at--;
        }
        ended.add(at, one);
        if (ended.size() > search.kept()) {
            ended.removeLast();
        }
    }

    private boolean isOver() {
        if (ended.size() < search.kept()) {
            return false;
        }
        if (search.earlyStopping() == BeamSearch.EarlyStopping.TRUE) {
            return true;
        }
        boolean longest = search.earlyStopping() == BeamSearch.EarlyStopping.NEVER && search.lengthPenalty() > 0;
        double best = scores[0] / Math.pow(longest ? text.limit() : written, search.lengthPenalty());
        return best <= ended.getLast().score();
    }

    /** Number of new tokens that all texts still possible begin with, while beams run: those certain to come. */
    int certain() {
        int length = text.promptLength() + written;
        for (int beam = 1; beam < size; beam++) {
            length = common(running[0], running[beam], length);
        }
        for (Ended one : ended) {
            length = common(running[0], one.tokens(), Math.min(length, one.tokens().length));
        }
        return length - text.promptLength();
    }

    private static int common(int[] a, int[] b, int length) {
        int mismatch = Arrays.mismatch(a, 0, length, b, 0, length);
        return mismatch < 0 ? length : mismatch;
    }

    /** New token {@code i} of those {@link #certain}. */
    int certainToken(int i) {
        return running[0][text.promptLength() + i];
    }

    /** The texts that have ended, the best first. */
    List<Ended> ended() {
        return ended;
    }
}
