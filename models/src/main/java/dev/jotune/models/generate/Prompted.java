package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.function.UnaryOperator;

/**
 * A model that reads a prompt of its own: what a session is fed first is changed, what follows is not. So the members of
 * a combination may each have their own template, and one of them no prompt at all.
 */
final class Prompted implements LanguageModel {

    private final LanguageModel model;
    private final int mostAdded;
    private final UnaryOperator<int[]> change;

    Prompted(LanguageModel model, int mostAdded, UnaryOperator<int[]> change) {
        this.model = model;
        this.mostAdded = Require.atLeast("The number of tokens added to a prompt", mostAdded, 0, "It takes its share of the context.");
        this.change = change;
    }

    @Override
    public int vocabularySize() {
        return model.vocabularySize();
    }

    @Override
    public int contextLength() {
        return model.contextLength() == Integer.MAX_VALUE ? Integer.MAX_VALUE : Math.max(0, model.contextLength() - mostAdded);
    }

    @Override
    public boolean readsUnequal() {
        return model.readsUnequal();
    }

    private int[] own(int[] prompt) {
        int[] own = change.apply(prompt.clone());
        if (own.length == 0 || own.length > prompt.length + (long) mostAdded) {
            throw new IllegalArgumentException("A member's own prompt has " + own.length + " tokens in place of " + prompt.length
                    + ", but must have at least 1 and at most " + mostAdded + " more. Say how many its template adds.");
        }
        return own;
    }

    @Override
    public Session open() {
        return new Own(model.open());
    }

    @Override
    public BatchSession openBatch(int rows) {
        // Prompts of one length may be unequal once they are changed.
        return model.readsUnequal() ? new Rows(rows) : new SeparateRows(this, rows);
    }

    private final class Own implements Session {
        private final Session session;
        private int[] prompt = {};
        private int[] own = {};
        private int length;

        Own(Session session) {
            this.session = session;
        }

        @Override
        public int length() {
            return length;
        }

        @Override
        public void feed(int... tokens) {
            if (length > 0) {
                session.feed(tokens);
            } else if (tokens.length > 0) {
                int[] changed = own(tokens);
                session.feed(changed);
                prompt = tokens.clone();
                own = changed;
            }
            length += tokens.length;
        }

        @Override
        public void logits(float[] out) {
            session.logits(out);
        }

        @Override
        public void logits(float[][] out) {
            if (out.length > 1 && out.length > length - prompt.length + 1) {
                throw new IllegalArgumentException("Logits after the last " + out.length + " tokens reach into a prompt of which this "
                        + "member reads a version of its own. Ask for at most " + (length - prompt.length + 1) + ".");
            }
            session.logits(out);
        }

        @Override
        public void rewind(int to) {
            if (to < 0 || to > length) {
                throw new IllegalArgumentException("The history has " + length + " tokens and cannot go back to " + to
                        + ". Pass a length from 0 to " + length + ".");
            }
            if (to >= prompt.length) {
                session.rewind(own.length + to - prompt.length);
                length = to;
            } else {
                int[] shorter = Arrays.copyOf(prompt, to);
                session.rewind(0);
                length = 0;
                prompt = shorter;
                feed(shorter);
            }
        }

        @Override
        public void close() {
            session.close();
        }
    }

    private final class Rows extends BatchRows {
        private final BatchSession batch;

        Rows(int rows) {
            super(rows, Prompted.this.vocabularySize(), Prompted.this.contextLength());
            batch = model.openBatch(rows);
        }

        @Override
        void advance(int[][] tokens, float[][] logits) {
            boolean first = length(0) == 0;
            batch.read(first ? Arrays.stream(tokens).map(Prompted.this::own).toArray(int[][]::new) : tokens, logits);
        }

        @Override
        void arrange(int[] rows) {
            batch.reorder(rows);
        }

        @Override
        void release() {
            batch.close();
        }
    }
}
