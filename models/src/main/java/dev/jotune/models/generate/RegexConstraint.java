package dev.jotune.models.generate;

import dev.jotune.models.tokenizer.Tokenizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.Operations;
import org.apache.lucene.util.automaton.TooComplexToDeterminizeException;
import org.apache.lucene.util.automaton.Transition;
import org.apache.lucene.util.automaton.UTF32ToUTF8;

/**
 * Texts that match a regular expression as a whole (Willard and Louf, "Efficient Guided Generation for Large Language
 * Models", arXiv 2307.09702). The expression's automaton runs on UTF-8 bytes, so a token may be part of a character, a
 * byte of it, or several words; it may come where some continuation of it, in tokens, still matches.
 *
 * <p>Syntax is that of {@link java.util.regex.Pattern} without what no finite automaton can do: see {@link #of}. The
 * tokens allowed in a state are found by one walk through the vocabulary as a trie, and remembered.
 */
public final class RegexConstraint implements TokenAutomaton {

    /** Effort at which an expression counts as too complex: a bound on time and memory. */
    private static final int EFFORT = 200_000;
    private static final int MOST_STATES = 20_000;
    private static final int REMEMBERED = 512;
    private static final int BYTES = 256;
    private static final int NEVER = Integer.MAX_VALUE;

    private final ByteTrie vocabulary;
    /** [states * 256] the state after a byte, or {@link #REFUSED}. */
    private final int[] table;
    private final BitSet accepting;
    /** [states] in how many tokens, at most, a text is complete; {@link #NEVER} where tokens lead nowhere. */
    private final int[] remaining;
    private final int longest;
    private final Map<Integer, BitSet> remembered = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, BitSet> eldest) {
            return size() > REMEMBERED;
        }
    };

    private RegexConstraint(Automaton bytes, ByteTrie vocabulary, String regex) {
        this.vocabulary = vocabulary;
        accepting = bytes.getAcceptStates();
        table = table(bytes);
        remaining = distances(bytes.getNumStates());
        longest = Arrays.stream(remaining).filter(n -> n != NEVER).max().orElse(0);
        if (remaining[start()] == NEVER) {
            throw new IllegalArgumentException("The regular expression '" + regex + "' matches no text that the tokenizer's "
                    + "tokens can write. Loosen it.");
        }
    }

    /**
     * @param regex     literals, classes, {@code . \d \w \s \D \W \S}, groups, alternatives and quantifiers
     * @param tokenizer whose tokens write the text
     * @param vocabularySize the model's
     * @throws IllegalArgumentException if the expression is malformed, has what is not supported, is too complex, or
     *                                  matches nothing
     * @throws dev.jotune.models.tokenizer.TokenizerException if the tokenizer's decoder is of a kind that does not add
     *                                  up token by token
     */
    public static RegexConstraint of(String regex, Tokenizer tokenizer, int vocabularySize) {
        try {
            Automaton characters = RegexParser.parse(regex);
            Automaton valid = Operations.repeat(Operations.union(List.of(Automata.makeCharRange(0, Character.MIN_SURROGATE - 1),
                    Automata.makeCharRange(Character.MAX_SURROGATE + 1, Character.MAX_CODE_POINT))));
            Automaton bytes = new UTF32ToUTF8().convert(Operations.intersection(characters, valid));
            Automaton exact = Operations.removeDeadStates(Operations.determinize(Operations.removeDeadStates(bytes), EFFORT));
            if (exact.getNumStates() == 0 || Operations.isEmpty(exact)) {
                throw new IllegalArgumentException("The regular expression '" + regex + "' matches nothing. Loosen it.");
            }
            if (exact.getNumStates() > MOST_STATES) {
                throw tooComplex(regex, null);
            }
            return new RegexConstraint(exact, new ByteTrie(tokenizer.tokenBytes(vocabularySize)), regex);
        } catch (TooComplexToDeterminizeException e) {
            throw tooComplex(regex, e);
        }
    }

    private static IllegalArgumentException tooComplex(String regex, RuntimeException cause) {
        return new IllegalArgumentException("The regular expression '" + regex + "' needs an automaton of too many states. "
                + "Repeat less, or alternate less.", cause);
    }

    private static int[] table(Automaton bytes) {
        int[] table = new int[bytes.getNumStates() * BYTES];
        Arrays.fill(table, REFUSED);
        Transition transition = new Transition();
        for (int state = 0; state < bytes.getNumStates(); state++) {
            int n = bytes.initTransition(state, transition);
            for (int i = 0; i < n; i++) {
                bytes.getNextTransition(transition);
                for (int b = transition.min; b <= transition.max; b++) {
                    table[state * BYTES + b] = transition.dest;
                }
            }
        }
        return table;
    }

    /**
     * Goes back from the accepting states. Where each byte is a token, bytes are counted, which is no fewer than tokens;
     * else tokens are, and not every state need lead anywhere.
     */
    private int[] distances(int states) {
        List<BitSet> before = new ArrayList<>();
        for (int state = 0; state < states; state++) {
            before.add(new BitSet());
        }
        boolean byBytes = everyByteIsAToken();
        for (int state = 0; state < states; state++) {
            int from = state;
            if (byBytes) {
                for (int b = 0; b < BYTES; b++) {
                    if (table[from * BYTES + b] != REFUSED) {
                        before.get(table[from * BYTES + b]).set(from);
                    }
                }
            } else {
                vocabulary.walk(table, from, (_, target) -> before.get(target).set(from));
            }
        }
        int[] distance = new int[states];
        Arrays.fill(distance, NEVER);
        Deque<Integer> open = new ArrayDeque<>();
        accepting.stream().forEach(state -> {
            distance[state] = 0;
            open.add(state);
        });
        while (!open.isEmpty()) {
            int state = open.remove();
            before.get(state).stream().filter(earlier -> distance[earlier] == NEVER).forEach(earlier -> {
                distance[earlier] = distance[state] + 1;
                open.add(earlier);
            });
        }
        return distance;
    }

    private boolean everyByteIsAToken() {
        for (int i = 0; i < table.length; i++) {
            if (table[i] != REFUSED && !vocabulary.hasByte(i % BYTES)) {
                return false;
            }
        }
        return true;
    }

    @Override
    public int start() {
        return 0;
    }

    @Override
    public int next(int state, int token) {
        byte[] bytes = vocabulary.bytes(token);
        int at = bytes.length == 0 ? REFUSED : state;
        for (int i = 0; i < bytes.length && at != REFUSED; i++) {
            at = table[at * BYTES + (bytes[i] & 0xFF)];
        }
        return at != REFUSED && remaining[at] != NEVER ? at : REFUSED;
    }

    @Override
    public boolean accepts(int state) {
        return accepting.get(state);
    }

    @Override
    public synchronized BitSet allowed(int state) {
        return remembered.computeIfAbsent(state, s -> {
            BitSet allowed = new BitSet();
            vocabulary.walk(table, s, (token, target) -> {
                if (remaining[target] != NEVER) {
                    allowed.set(token);
                }
            });
            return allowed;
        });
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
