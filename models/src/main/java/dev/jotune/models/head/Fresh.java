package dev.jotune.models.head;

import java.util.List;

/**
 * A wish for a classifier on a checkpoint that has none: what the head lacks begins at random.
 *
 * @param labels the classes by number
 * @param seed of the start
 */
public record Fresh(List<String> labels, long seed) {
    public Fresh {
        labels = List.copyOf(labels);
        if (labels.isEmpty()) {
            throw new IllegalArgumentException("a classifier of 0 labels has nothing to tell apart. Give at least one.");
        }
    }
}
