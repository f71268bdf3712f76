package dev.jotune.models.chat;

/**
 * A piece of a template.
 *
 * @param text what it says: the name, the operator, the value of a string
 * @param line where it stands, from 1
 */
record Token(Kind kind, String text, int line) {

    enum Kind { DATA, BLOCK_BEGIN, BLOCK_END, VALUE_BEGIN, VALUE_END, NAME, STRING, INTEGER, FLOAT, OPERATOR, END }

    boolean is(Kind wanted, String content) {
        return kind == wanted && text.equals(content);
    }

    @Override
    public String toString() {
        return kind == Kind.END ? "the end of the template" : "'" + text + "'";
    }
}
