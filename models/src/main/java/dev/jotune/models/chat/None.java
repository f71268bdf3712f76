package dev.jotune.models.chat;

/** Python's None. Java's null is no value of a template. */
enum None {
    NONE;

    @Override
    public String toString() {
        return "None";
    }
}
