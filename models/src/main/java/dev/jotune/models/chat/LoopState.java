package dev.jotune.models.chat;

import java.util.List;

/** The variable {@code loop}: how far a loop has come. */
final class LoopState {

    private final List<Object> items;
    private final int depth;
    int index;

    LoopState(List<Object> items, int depth) {
        this.items = items;
        this.depth = depth;
    }

    int depth() {
        return depth;
    }

    Object attribute(String name) {
        int size = items.size();
        return switch (name) {
            case "index" -> index + 1L;
            case "index0" -> (long) index;
            case "revindex" -> (long) size - index;
            case "revindex0" -> size - index - 1L;
            case "first" -> index == 0;
            case "last" -> index == size - 1;
            case "length" -> (long) size;
            case "depth" -> depth + 1L;
            case "depth0" -> (long) depth;
            case "previtem" -> index > 0 ? items.get(index - 1) : new Undefined("loop.previtem of the first element");
            case "nextitem" -> index + 1 < size ? items.get(index + 1) : new Undefined("loop.nextitem of the last element");
            case "cycle" -> (Callable) (arguments, _) -> arguments.get(index % arguments.size());
            default -> new Undefined("loop." + name);
        };
    }
}
