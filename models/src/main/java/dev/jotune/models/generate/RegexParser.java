package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.util.automaton.Automata;
import org.apache.lucene.util.automaton.Automaton;
import org.apache.lucene.util.automaton.Operations;

/**
 * Reads a regular expression in the syntax of {@link java.util.regex.Pattern} as an automaton over code points. What has
 * no automaton (look-around, back references, boundaries) or would mean something else is refused by name.
 */
final class RegexParser {

    /** A bound on the automaton's size while it is put together. */
    private static final long MOST_STATES = 200_000;
    private static final int DEEPEST = 200;
    private static final int[][] DIGIT = {{'0', '9'}};
    private static final int[][] WORD = {{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}};
    private static final int[][] SPACE = {{'\t', '\r'}, {' ', ' '}};
    /** What a dot does not match. */
    private static final int[][] LINE_ENDS = {{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}};

    private final String regex;
    private int at;
    private int depth;

    private RegexParser(String regex) {
        this.regex = regex;
    }

    /**
     * @throws IllegalArgumentException naming what is malformed or not supported, and where
     */
    static Automaton parse(String regex) {
        RegexParser parser = new RegexParser(regex);
        if (parser.peek() == '^') {
            parser.at++;
        }
        Automaton all = parser.alternatives();
        if (parser.at < regex.length()) {
            throw parser.refused("a ')' too many", "Write \\) for the character.");
        }
        return all;
    }

    private Automaton alternatives() {
        if (++depth > DEEPEST) {
            throw refused("groups nested too deeply", "Nest at most " + DEEPEST + ".");
        }
        List<Automaton> all = new ArrayList<>(List.of(sequence()));
        while (peek() == '|') {
            at++;
            all.add(sequence());
        }
        depth--;
        return sized(all.size() == 1 ? all.getFirst() : Operations.union(all));
    }

    private Automaton sequence() {
        List<Automaton> parts = new ArrayList<>();
        long states = 0;
        while (peek() >= 0 && peek() != '|' && peek() != ')') {
            if (peek() == '$' && at + 1 == regex.length()) {
                at++;
                break;
            }
            Automaton part = repeated(one());
            states += part.getNumStates();
            check(states);
            parts.add(part);
        }
        return parts.isEmpty() ? Automata.makeEmptyString() : Operations.concatenate(parts);
    }

    private Automaton repeated(Automaton part) {
        int c = peek();
        if (c != '*' && c != '+' && c != '?' && c != '{') {
            return part;
        }
        at++;
        Automaton result = switch (c) {
            case '*' -> Operations.repeat(part);
            case '+' -> Operations.repeat(part, 1);
            case '?' -> Operations.optional(part);
            default -> counted(part);
        };
        if (peek() == '?') {
            // Lazy or not, the same texts match.
            at++;
        } else if (peek() == '+') {
            throw refused("a possessive quantifier", "Leave out the second +.");
        }
        int next = peek();
        if (next == '*' || next == '+' || next == '?' || next == '{') {
            throw refused("a quantifier after a quantifier", "Put the first into a group.");
        }
        return sized(result);
    }

    private Automaton counted(Automaton part) {
        int end = regex.indexOf('}', at);
        String inside = end < 0 ? "" : regex.substring(at, end);
        if (!inside.matches("[0-9]{1,4}(,[0-9]{0,4})?")) {
            throw refused("a '{' without a number after it", "Write \\{ for the character, {2,5} for a repetition.");
        }
        at = end + 1;
        int comma = inside.indexOf(',');
        int least = Integer.parseInt(comma < 0 ? inside : inside.substring(0, comma));
        boolean open = comma == inside.length() - 1;
        int most = comma < 0 ? least : open ? least + 1 : Integer.parseInt(inside.substring(comma + 1));
        if (most < least) {
            throw refused("a repetition {" + inside + "}", "Write the smaller number first.");
        }
        check((long) Math.max(1, most) * part.getNumStates());
        return open ? Operations.repeat(part, least) : Operations.repeat(part, least, most);
    }

    private Automaton one() {
        int c = take();
        return switch (c) {
            case '\\' -> set(escape(), false);
            case '[' -> charClass();
            case '(' -> group();
            case '.' -> set(LINE_ENDS, true);
            case '*', '+', '?' -> throw refused("a quantifier with nothing to repeat", "Write \\" + (char) c
                    + " for the character.");
            case '{' -> throw refused("a '{' with nothing to repeat", "Write \\{ for the character.");
            case '^', '$' -> throw refused("an anchor inside", "The whole text must match as it is.");
            default -> Automata.makeChar(c);
        };
    }

    private Automaton group() {
        if (peek() == '?') {
            at++;
            if (take() != ':') {
                throw refused("a group that begins with (?", "Only (?:...) is known: no look-around, names or flags.");
            }
        }
        Automaton inside = alternatives();
        if (take() != ')') {
            throw refused("a group without its ')'", "Close it.");
        }
        return inside;
    }

    private Automaton charClass() {
        boolean negated = peek() == '^';
        at += negated ? 1 : 0;
        if (peek() == ']') {
            throw refused("an empty character class", "Write \\] for the character.");
        }
        List<int[]> members = new ArrayList<>();
        while (peek() != ']') {
            int[][] from = member();
            boolean range = peek() == '-' && at + 1 < regex.length() && regex.charAt(at + 1) != ']';
            if (!range) {
                members.addAll(List.of(from));
                continue;
            }
            at++;
            int[][] to = member();
            boolean single = from.length == 1 && from[0][0] == from[0][1] && to.length == 1 && to[0][0] == to[0][1];
            if (!single || to[0][0] < from[0][0]) {
                throw refused("a range that is none", "Write the lower character first, as in a-z.");
            }
            members.add(new int[] {from[0][0], to[0][1]});
        }
        take();
        return set(members.toArray(int[][]::new), negated);
    }

    private int[][] member() {
        int c = take();
        if (c == '[' || c == '&' && peek() == '&') {
            throw refused("a class within a class or an intersection", "Write one class; \\[ is the character.");
        }
        return c == '\\' ? escape() : new int[][] {{c, c}};
    }

    /** The characters that an escape stands for, as ranges. */
    private int[][] escape() {
        int c = take();
        int one = switch (c) {
            case 'd', 'w', 's', 'D', 'W', 'S' -> -1;
            case 'n' -> '\n';
            case 't' -> '\t';
            case 'r' -> '\r';
            case 'f' -> '\f';
            case 'x' -> hex(2);
            case 'u' -> hex(4);
            default -> {
                if (c < 128 && Character.isLetterOrDigit(c)) {
                    throw refused("\\" + Character.toString(c), "Known are \\d \\w \\s \\D \\W \\S \\n \\t \\r \\f \\xHH "
                            + "\\uHHHH and escaped punctuation: no boundaries, references or properties.");
                }
                yield c;
            }
        };
        return switch (one < 0 ? c : 0) {
            case 'd' -> DIGIT;
            case 'w' -> WORD;
            case 's' -> SPACE;
            case 'D' -> others(DIGIT);
            case 'W' -> others(WORD);
            case 'S' -> others(SPACE);
            default -> new int[][] {{one, one}};
        };
    }

    private int hex(int digits) {
        int end = at + digits;
        String written = regex.substring(at, Math.min(end, regex.length()));
        if (!written.matches("[0-9a-fA-F]{" + digits + "}")) {
            throw refused("\\x or \\u without its digits", "Write \\x41 or \\u0041.");
        }
        at = end;
        return Integer.parseInt(written, 16);
    }

    /** The code points in none of some ranges. */
    private static int[][] others(int[][] ranges) {
        List<int[]> rest = new ArrayList<>();
        int next = 0;
        for (int[] range : List.of(ranges).stream().sorted(Comparator.comparingInt(r -> r[0])).toList()) {
            if (range[0] > next) {
                rest.add(new int[] {next, range[0] - 1});
            }
            next = Math.max(next, range[1] + 1);
        }
        if (next <= Character.MAX_CODE_POINT) {
            rest.add(new int[] {next, Character.MAX_CODE_POINT});
        }
        return rest.toArray(int[][]::new);
    }

    private static Automaton set(int[][] ranges, boolean negated) {
        Automaton set = new Automaton();
        int from = set.createState();
        int to = set.createState();
        set.setAccept(to, true);
        for (int[] range : negated ? others(ranges) : ranges) {
            set.addTransition(from, to, range[0], range[1]);
        }
        set.finishState();
        return set;
    }

    private int peek() {
        return at < regex.length() ? regex.codePointAt(at) : -1;
    }

    private int take() {
        if (at >= regex.length()) {
            throw refused("an end that comes too soon", "Complete the expression.");
        }
        int c = regex.codePointAt(at);
        at += Character.charCount(c);
        return c;
    }

    private Automaton sized(Automaton automaton) {
        check(automaton.getNumStates());
        return automaton;
    }

    private void check(long states) {
        if (states > MOST_STATES) {
            throw refused("so many repetitions that the automaton has too many states", "Repeat less.");
        }
    }

    private IllegalArgumentException refused(String what, String advice) {
        return new IllegalArgumentException(String.format(Locale.ROOT, "The regular expression '%s' has %s before place %d, "
                + "which is not supported. %s", regex, what, at, advice));
    }
}
