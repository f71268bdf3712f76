package dev.jotune.models.chat;

/** What running one template may cost; a template that needs more is refused. */
final class Budget {

    /** Far beyond what a conversation takes: the templates of published models stay below a thousand a message. */
    static final long STEPS = 5_000_000;
    /** All strings and lists made on the way, in characters and elements. */
    static final long SIZE = 1L << 25;
    static final int DEEPEST_CALL = 100;

    private long steps = STEPS;
    private long size = SIZE;
    private int depth;

    void step() {
        if (--steps < 0) {
            throw new ChatTemplateException("The chat template was stopped after " + STEPS
                    + " steps. It may never end: use the template of another checkpoint.");
        }
    }

    /** Accounts for reading through {@code count} characters. */
    void scan(long count) {
        steps -= count >> 4;
        step();
    }

    /** Accounts for {@code count} characters or elements before they are made. */
    void make(long count) {
        size -= count;
        if (size < 0 || count > SIZE) {
            throw new ChatTemplateException("The chat template was stopped after making " + SIZE
                    + " characters. Shorten the conversation, or use the template of another checkpoint.");
        }
    }

    void enter() {
        if (++depth > DEEPEST_CALL) {
            throw new ChatTemplateException("Macros of the chat template call each other more than " + DEEPEST_CALL
                    + " deep. Use the template of another checkpoint.");
        }
    }

    void leave() {
        depth--;
    }
}
