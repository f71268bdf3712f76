package dev.jotune.jmh.claims;

import java.nio.file.Path;
import java.util.List;

/** An experiment that shows what a method is for, or that it does not. Its sizes are the components of a record. */
public interface Claim {
    /**
     * One part of the condition.
     *
     * @param what is measured
     * @param asked of it
     * @param measured what came out
     */
    record Finding(String what, String asked, String measured, boolean reached) {}

    /** Numbers to be looked at. */
    record Table(String title, List<String> head, List<List<String>> rows) {}

    /**
     * Where real models and data are.
     *
     * @param models folders of models, such as {@code all-minilm-l6-v2}
     * @param data folders of data, such as {@code sst2}
     */
    record Places(Path models, Path data) {}

    /** In the catalogue of methods. */
    String id();

    /** The method's name in the registry. */
    String registered();

    /** The method's name for people. */
    String method();

    /** The catalogue's words. */
    String condition();

    /** The test that shows what else the catalogue asks of the method. */
    String test();

    /** How it is measured, sizes and seeds included. */
    String setup();

    /** Measures, and writes down every number that it finds. */
    void run(Places places, Results results);

    /** What the condition asks for, beside what was measured. */
    List<Finding> findings(List<Row> rows);

    /** What was measured. */
    List<Table> tables(List<Row> rows);

    /** What there is to say about it: why a condition is not met, if that is known, and how settings were chosen. */
    String remark();

    /** Whether times are measured: then it is run in several processes, and results are added. */
    default boolean isTimed() {
        return false;
    }

    /** The same at a size that takes a second or two, whose numbers mean nothing. */
    Claim tiny();
}
