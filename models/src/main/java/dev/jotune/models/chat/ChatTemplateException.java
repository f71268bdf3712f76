package dev.jotune.models.chat;

import dev.jotune.models.ModelException;

/** A chat template that cannot be read or run, or that refuses the conversation it was given. */
public final class ChatTemplateException extends ModelException {

    private static final long serialVersionUID = 1L;

    ChatTemplateException(String message) {
        super(message);
    }
}
