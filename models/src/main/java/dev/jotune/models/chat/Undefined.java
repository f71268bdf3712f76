package dev.jotune.models.chat;

/**
 * What a missing variable or attribute gives: it prints as nothing and is false, and anything else is an error.
 *
 * @param what how messages name it
 */
record Undefined(String what) {

    ChatTemplateException error() {
        return new ChatTemplateException("The chat template uses " + what + ", which is not defined. Pass it as a variable, "
                + "or give messages the fields that the template asks for.");
    }
}
