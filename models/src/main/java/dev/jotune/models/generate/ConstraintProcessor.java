package dev.jotune.models.generate;

import java.util.BitSet;

/** Rules out what a {@link TokenAutomaton} refuses, and end tokens where the text is not complete. */
final class ConstraintProcessor implements LogitsProcessor {

    private final TokenAutomaton automaton;
    private final int promptLength;
    private final BitSet ends = new BitSet();

    ConstraintProcessor(TokenAutomaton automaton, int promptLength, int[] endTokens) {
        this.automaton = automaton;
        this.promptLength = promptLength;
        for (int token : endTokens) {
            ends.set(token);
        }
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        int state = state(history, length);
        boolean mayEnd = state != TokenAutomaton.REFUSED && automaton.accepts(state);
        BitSet allowed = state == TokenAutomaton.REFUSED ? new BitSet() : automaton.allowed(state);
        for (int token = 0; token < logits.length; token++) {
            if (!(ends.get(token) ? mayEnd : allowed.get(token))) {
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
