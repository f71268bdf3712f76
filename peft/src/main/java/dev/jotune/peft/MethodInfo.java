package dev.jotune.peft;

/**
 * What the registry knows of a method.
 *
 * @param name on the command line: {@code lora}
 * @param peftType PEFT's name: {@code LORA}
 * @param title for people
 * @param paper arXiv id
 * @param seam where it plugs in (DESIGN section 2)
 * @param equation its definition, in a line
 * @param trainable the closed form of the number of trainable numbers
 * @param defaults its hyper-parameters as PEFT has them
 */
public record MethodInfo(String name, String peftType, String title, String paper, String seam, String equation,
        String trainable, TuningMethod defaults) {}
