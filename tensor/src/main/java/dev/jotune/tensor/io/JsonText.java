package dev.jotune.tensor.io;

/**
 * JSON strings with the fewest escapes, in the spelling of Rust's serde, so that headers agree byte for byte with
 * those of the safetensors library: short escapes where there are any, lower-case hexadecimal otherwise, and
 * everything from the space on as it is.
 */
final class JsonText {

    private JsonText() {
    }

    static StringBuilder append(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < ' ') {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        return out.append('"');
    }
}
