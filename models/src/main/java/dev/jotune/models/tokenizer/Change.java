package dev.jotune.models.tokenizer;

/**
 * A character of a rewritten text and what it stands for: above 0, it was inserted and stands for what the old
 * character before it stood for; else it replaces the next old character, and {@code -change} more old ones go with it.
 */
record Change(int codePoint, int change) {}
