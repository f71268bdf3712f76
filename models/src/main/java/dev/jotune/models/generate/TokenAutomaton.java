package dev.jotune.models.generate;

import java.util.BitSet;

/**
 * Which token sequences a text may be: a deterministic automaton over token ids, of which only the states count from
 * which a text can still be completed. End tokens are none of its business: they may come where it accepts.
 */
public interface TokenAutomaton {

    /** What {@link #next} gives where a token may not come. */
    int REFUSED = -1;

    /** The state of the empty text. */
    int start();

    /** The state after a token, or {@link #REFUSED}. */
    int next(int state, int token);

    /** Whether a text may end here. */
    boolean accepts(int state);

    /** The tokens that may come next, as a set not to be changed. */
    BitSet allowed(int state);

    /** With how many more tokens, at most, a text can be completed: 0 where the automaton accepts. */
    int remaining(int state);

    /** The greatest of what {@link #remaining} gives. */
    int longestRemaining();
}
