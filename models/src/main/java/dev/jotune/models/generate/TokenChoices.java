package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** One of several token sequences, as a trie: after each beginning, what may follow it (De Cao et al., arXiv 2010.00904). */
public final class TokenChoices implements TokenAutomaton {

    private final List<Map<Integer, Integer>> children = new ArrayList<>();
    private final List<BitSet> allowed = new ArrayList<>();
    private final BitSet complete = new BitSet();

    /**
     * @throws IllegalArgumentException if there is none, one is empty, or an id is negative
     */
    public TokenChoices(Collection<int[]> choices) {
        Require.atLeast("The number of choices", choices.size(), 1, "Give at least one.");
        node();
        for (int[] choice : choices) {
            Require.atLeast("The number of tokens of a choice", choice.length, 1, "Leave empty choices out.");
            int at = start();
            for (int token : Require.tokens("A choice", choice)) {
                allowed.get(at).set(token);
                Integer next = children.get(at).get(token);
                if (next == null) {
                    next = node();
                    children.get(at).put(token, next);
                }
                at = next;
            }
            complete.set(at);
        }
    }

    private int node() {
        children.add(new HashMap<>());
        allowed.add(new BitSet());
        return children.size() - 1;
    }

    @Override
    public int start() {
        return 0;
    }

    @Override
    public int next(int state, int token) {
        return children.get(state).getOrDefault(token, REFUSED);
    }

    @Override
    public boolean accepts(int state) {
        return complete.get(state);
    }

    @Override
    public BitSet allowed(int state) {
        return allowed.get(state);
    }
}
