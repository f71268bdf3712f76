package dev.jotune.models.chat;

import java.util.Map;

/** An object whose attributes a template may set, also from within loops. */
record Namespace(Map<String, Object> attributes) {}
