package dev.jotune.models.generate;

/** A {@link LanguageModel} whose hidden states can be seen. */
public interface StatefulModel extends LanguageModel {

    /** Like {@link #openBatch}, keeping the states of what is read. */
    StatefulBatch openStateful(int rows);
}
