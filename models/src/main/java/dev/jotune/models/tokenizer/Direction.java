package dev.jotune.models.tokenizer;

import java.util.Locale;

/** Which end of an encoding is cut off or filled up. */
public enum Direction {
    LEFT, RIGHT;

    static Direction read(JsonView parent) {
        if (!parent.has("direction")) {
            return RIGHT;
        }
        JsonView view = parent.field("direction");
        return switch (view.text().toLowerCase(Locale.ROOT)) {
            case "left" -> LEFT;
            case "right" -> RIGHT;
            default -> throw view.error("is '" + view.text() + "'. Write Left or Right.");
        };
    }
}
