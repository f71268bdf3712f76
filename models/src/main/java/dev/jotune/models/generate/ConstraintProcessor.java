package dev.jotune.models.generate;

import java.util.BitSet;

/**
 * Rules out what a {@link TokenAutomaton} refuses, and end tokens where the text is not complete. When few tokens are
 * left, only those stay with which the text can still be completed in time, so that a limit does not cut it off.
 */
final class ConstraintProcessor implements LogitsProcessor {

    private final TokenAutomaton automaton;
    private final int promptLength;
    private final int limit;
    private final BitSet ends = new BitSet();

    /**
     * @param limit how many new tokens there may be
     */
    ConstraintProcessor(TokenAutomaton automaton, int promptLength, int limit, int[] endTokens) {
        this.automaton = automaton;
        this.promptLength = promptLength;
        this.limit = limit;
        for (int token : endTokens) {
            ends.set(token);
        }
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        int state = state(history, length);
        boolean mayEnd = state != TokenAutomaton.REFUSED && automaton.accepts(state);
        BitSet allowed = state == TokenAutomaton.REFUSED ? new BitSet() : automaton.allowed(state);
        int left = promptLength + limit - length;
        boolean hurry = left <= automaton.longestRemaining() && state != TokenAutomaton.REFUSED
                && automaton.remaining(state) <= left;
        for (int token = 0; token < logits.length; token++) {
            boolean possible = ends.get(token) ? mayEnd : allowed.get(token);
            if (!possible || hurry && !ends.get(token) && automaton.remaining(automaton.next(state, token)) >= left) {
                logits[token] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    /** Whether the text may end and nothing else may follow. */
    boolean isComplete(int[] history, int length) {
        int state = state(history, length);
        return state != TokenAutomaton.REFUSED && automaton.accepts(state) && automaton.allowed(state).isEmpty();
    }

    /** Found anew each time: a beam's history is not the last one's continuation. */
    private int state(int[] history, int length) {
        int state = automaton.start();
        for (int i = promptLength; i < length && state != TokenAutomaton.REFUSED; i++) {
            state = automaton.next(state, history[i]);
        }
        return state;
    }
}
