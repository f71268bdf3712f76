/**
 * Chat templates: what turns a conversation into the text a model was trained on. A template is a program in a subset of
 * Jinja (https://jinja.palletsprojects.com), read and run here with Python's meaning of values, without reflection and
 * within limits, because a template comes from whoever published the model.
 */
package dev.jotune.models.chat;
