package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * How encodings that are too long are cut into windows; the first window is kept, the others overflow.
 *
 * @param maxLength the most tokens of an encoding, those added by post-processing included
 * @param stride how many tokens a window shares with the one before it
 * @param strategy which text of a pair is cut
 * @param direction the end that is cut off
 */
public record Truncation(int maxLength, int stride, Strategy strategy, Direction direction) {

    /** Which text of a pair is cut: the longer first, only the first, or only the second. */
    public enum Strategy { LONGEST_FIRST, ONLY_FIRST, ONLY_SECOND }

    public Truncation {
        if (maxLength < 0 || stride < 0) {
            throw new TokenizerException("Truncation has the length " + maxLength + " and the stride " + stride
                    + ". Give numbers from 0.");
        }
    }

    /** Reads the setting of a tokenizer file. */
    static Truncation read(JsonView view) {
        Strategy strategy = view.has("strategy") ? strategy(view.field("strategy")) : Strategy.LONGEST_FIRST;
        return new Truncation(view.field("max_length").natural(), view.natural("stride", 0), strategy,
                Direction.read(view));
    }

    private static Strategy strategy(JsonView view) {
        return switch (view.text()) {
            case "LongestFirst", "longest_first" -> Strategy.LONGEST_FIRST;
            case "OnlyFirst", "only_first" -> Strategy.ONLY_FIRST;
            case "OnlySecond", "only_second" -> Strategy.ONLY_SECOND;
            default -> throw view.error("is '" + view.text() + "'. Write LongestFirst, OnlyFirst or OnlySecond.");
        };
    }

    /** Cuts one or two encodings so that, with {@code added} more tokens, they are short enough. */
    List<Encoding> truncate(Encoding first, Optional<Encoding> second, int added) {
        int room = maxLength - added;
        if (room < 0) {
            throw new TokenizerException("A length of " + maxLength + " leaves no room for the " + added
                    + " tokens that this tokenizer adds. Truncate to a greater length.");
        }
        int n1 = first.length();
        int n2 = second.map(Encoding::length).orElse(0);
        if (room == 0) {
            n1 = 0;
            n2 = 0;
        } else if (n1 + n2 > room) {
            int excess = n1 + n2 - room;
            switch (strategy) {
                case ONLY_FIRST -> n1 = shortened(n1, excess, "first");
                case ONLY_SECOND -> n2 = shortened(n2, excess, "second");
                case LONGEST_FIRST -> {
                    if (second.isEmpty()) {
                        n1 = room;
                    } else {
                        int shorter = Math.min(n1, n2);
                        int longer = Math.max(shorter, room - shorter);
                        if (shorter + longer > room) {
                            shorter = room / 2;
                            longer = room - shorter;
                        }
                        boolean swapped = n1 > n2;
                        n1 = swapped ? longer : shorter;
                        n2 = swapped ? shorter : longer;
                    }
                }
            }
        }
        List<Encoding> result = new ArrayList<>();
        result.add(window(first, n1));
        int secondLength = n2;
        second.ifPresent(encoding -> result.add(window(encoding, secondLength)));
        return result;
    }

    private int shortened(int length, int excess, String which) {
        if (length <= excess) {
            throw new TokenizerException("The " + which + " text has " + length + " tokens, but " + excess
                    + " would have to go to reach the length " + maxLength + ". Truncate the other text too.");
        }
        return length - excess;
    }

    private Encoding window(Encoding encoding, int size) {
        int length = encoding.length();
        if (size >= length) {
            return encoding;
        }
        if (size == 0) {
            return new EncodingBuilder().build(List.of(encoding));
        }
        if (stride >= size) {
            throw new TokenizerException("The stride " + stride + " is not less than the " + size + " tokens of a "
                    + "window (special tokens not counted). Use a smaller stride or a greater length.");
        }
        List<Encoding> windows = new ArrayList<>();
        int step = size - stride;
        if (direction == Direction.RIGHT) {
            for (int start = 0; windows.isEmpty() || start + stride < length; start += step) {
                windows.add(part(encoding, start, Math.min(start + size, length)));
            }
        } else {
            for (int stop = length; windows.isEmpty() || stop - stride > 0; stop -= step) {
                windows.add(part(encoding, Math.max(stop - size, 0), stop));
            }
        }
        EncodingBuilder kept = new EncodingBuilder();
        kept.addAll(windows.getFirst(), 0, windows.getFirst().length());
        return kept.build(windows.subList(1, windows.size()));
    }

    private static Encoding part(Encoding encoding, int from, int to) {
        EncodingBuilder builder = new EncodingBuilder();
        builder.addAll(encoding, from, to);
        return builder.build();
    }
}
