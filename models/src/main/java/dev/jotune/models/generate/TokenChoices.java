package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
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
    private final int[] remaining;
    private final int longest;

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
        remaining = new int[children.size()];
        // A node comes after its parent.
        for (int node = remaining.length - 1; node >= 0; node--) {
            int least = children.get(node).values().stream().mapToInt(child -> remaining[child] + 1).min().orElse(0);
            remaining[node] = complete.get(node) ? 0 : least;
        }
        longest = Arrays.stream(remaining).max().orElse(0);
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

    @Override
    public int remaining(int state) {
        return remaining[state];
    }

    @Override
    public int longestRemaining() {
        return longest;
    }
}
