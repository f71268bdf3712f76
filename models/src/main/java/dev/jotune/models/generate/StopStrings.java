package dev.jotune.models.generate;

import java.util.List;

/**
 * Ends a text where one of some strings appears, wherever the borders of tokens lie: text that may be the beginning
 * of a stop string is held back until it is clear. The stop string that is complete first wins, and of several
 * complete at once the longest, so the result does not depend on how the text is cut into pieces.
 */
final class StopStrings {

    private final List<String> stops;
    private final StringBuilder held = new StringBuilder();
    private boolean found;

    StopStrings(List<String> stops) {
        this.stops = stops;
    }

    /** One that has seen the same and goes its own way. */
    StopStrings copy() {
        StopStrings copy = new StopStrings(stops);
        copy.held.append(held);
        copy.found = found;
        return copy;
    }

    boolean found() {
        return found;
    }

    /** Takes a piece and gives the text that certainly belongs to the result. */
    String push(String piece) {
        if (found || piece.isEmpty()) {
            return "";
        }
        int unseen = held.length();
        held.append(piece);
        for (int end = unseen + 1; end <= held.length(); end++) {
            int start = longestEndingAt(end);
            if (start >= 0) {
                found = true;
                held.setLength(start);
                return flush();
            }
        }
        int safe = held.length() - longestBeginning();
        String text = held.substring(0, safe);
        held.delete(0, safe);
        return text;
    }

    /** Gives what is held back: no stop string can come any more. */
    String flush() {
        String rest = held.toString();
        held.setLength(0);
        return rest;
    }

    private int longestEndingAt(int end) {
        int start = -1;
        for (String stop : stops) {
            int candidate = end - stop.length();
            if (candidate >= 0 && (start < 0 || candidate < start) && matches(stop, candidate, stop.length())) {
                start = candidate;
            }
        }
        return start;
    }

    /** Length of the longest end of the held text that begins a stop string. */
    private int longestBeginning() {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
                if (matches(stop, held.length() - n, n)) {
                    longest = n;
                }
            }
        }
        return longest;
    }

    private boolean matches(String stop, int at, int length) {
        for (int i = 0; i < length; i++) {
            if (held.charAt(at + i) != stop.charAt(i)) {
                return false;
            }
        }
        return true;
    }
}
