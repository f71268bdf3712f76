package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** The cache handling that all real models inherit. {@link TableModel} fails on a cache that is out of step. */
class LogitsSessionTest {

    private static final int V = 6;

    /** Below 0: take so many tokens back; below V: feed a token; else: ask for logits, after some places and after the last. */
    @Provide
    Arbitrary<int[]> moves() {
        return Arbitraries.integers().between(-4, 2 * V).array(int[].class).ofMinSize(1).ofMaxSize(40);
    }

    @Property
    void logitsAreThoseOfTheHistoryAfterAnyFeedingAndRewinding(@ForAll("moves") int[] moves, @ForAll boolean forgetful) {
        TableModel model = TableModel.hashing(V, 5);
        model.forgetful = forgetful;
        int[] text = {};
        float[] out = new float[V];
        try (LanguageModel.Session session = model.open()) {
            for (int move : moves) {
                if (move < 0) {
                    text = Arrays.copyOf(text, Math.max(0, text.length + move));
                    session.rewind(text.length);
                } else if (move < V) {
                    text = Arrays.copyOf(text, text.length + 1);
                    text[text.length - 1] = move;
                    session.feed(move);
                } else if (text.length > 0) {
                    float[][] last = new float[Math.min(move - V + 1, text.length)][V];
                    session.logits(last);
                    for (int i = 0; i < last.length; i++) {
                        assertThat(last[i]).isEqualTo(model.at(Arrays.copyOf(text, text.length - last.length + 1 + i)));
                    }
                    session.logits(out);
                    assertThat(out).isEqualTo(model.at(text));
                }
            }
        }
    }

    @Test
    void aPromptIsOnePassAndAStepReadsOneToken() {
        TableModel model = TableModel.hashing(V, 5);
        try (LanguageModel.Session session = model.open()) {
            session.feed(1, 2);
            session.feed(3);
            session.logits(new float[V]);
            session.logits(new float[V]);
            session.feed(4);
            session.logits(new float[V]);
            session.rewind(2);
            session.logits(new float[V]);
        }
        assertThat(model.passes).containsExactly(3, 1, 1);
    }

    @Test
    void aPassThatFailedCanBeTriedAgain() {
        TableModel model = TableModel.hashing(V, 5);
        float[] out = new float[V];
        try (LanguageModel.Session session = model.open()) {
            session.feed(1, 2);
            session.logits(out);
            session.feed(3);
            model.broken = true;
            assertThatThrownBy(() -> session.logits(out)).hasMessageContaining("made to fail");
            session.logits(out);
            assertThat(out).isEqualTo(model.at(1, 2, 3));
        }
    }

    @Test
    void whatCannotBeIsRefused() {
        TableModel model = TableModel.counting(V, 4);
        LanguageModel.Session session = model.open();
        assertThatThrownBy(() -> session.logits(new float[V])).hasMessageContaining("history is empty");
        assertThatThrownBy(() -> session.feed(0, V)).hasMessageContaining("token id 6");
        assertThatThrownBy(() -> session.feed(0, -1)).hasMessageContaining("token id -1");
        assertThat(session.length()).isZero();
        session.feed(0, 1, 2);
        assertThatThrownBy(() -> session.feed(3, 4)).hasMessageContaining("5 tokens is longer than the context of 4");
        assertThatThrownBy(() -> session.rewind(4)).hasMessageContaining("has 3 tokens and cannot go back to 4");
        assertThatThrownBy(() -> session.logits(new float[V + 1])).hasMessageContaining("7 elements");
        session.close();
        session.close();
        assertThat(model.open).isZero();
        assertThatThrownBy(() -> session.feed(1)).hasMessageContaining("closed");
    }
}
