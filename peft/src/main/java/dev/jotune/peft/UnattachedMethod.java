package dev.jotune.peft;

/**
 * What the registry knows of a method that attaches nothing to a model: it combines models while they write, or changes how
 * they are trained or merged. It has no adapter and no file.
 *
 * @param name for lists: {@code proxy}
 * @param title for people
 * @param paper arXiv id
 * @param seam where it plugs in (DESIGN section 2)
 * @param equation its definition, in a line
 * @param use how it is asked for, on the command line or in Java
 * @param test the test that shows what it is for
 */
public record UnattachedMethod(String name, String title, String paper, String seam, String equation, String use, String test) {}
