package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.List;

/**
 * A batch of any model: a session for each row. A row that is copied is read again, so a model that can do better
 * should.
 */
final class SeparateRows extends BatchRows {

    private final LanguageModel model;
    private List<LanguageModel.Session> sessions = new ArrayList<>();
    private List<TokenHistory> histories = new ArrayList<>();

    SeparateRows(LanguageModel model, int rows) {
        super(rows, model.vocabularySize(), model.contextLength());
        this.model = model;
        try {
            for (int b = 0; b < rows; b++) {
                sessions.add(model.open());
                histories.add(new TokenHistory());
            }
        } catch (RuntimeException | Error e) {
            CompositeModel.closeAll(sessions, e);
            throw e;
        }
    }

    @Override
    void advance(int[][] tokens, float[][] logits) {
        for (int b = 0; b < tokens.length; b++) {
            sessions.get(b).feed(tokens[b]);
            histories.get(b).append(tokens[b]);
            sessions.get(b).logits(logits[b]);
        }
    }

    @Override
    void arrange(int[] rows) {
        List<LanguageModel.Session> kept = new ArrayList<>();
        List<TokenHistory> texts = new ArrayList<>();
        boolean[] taken = new boolean[sessions.size()];
        try {
            for (int row : rows) {
                kept.add(taken[row] ? reread(histories.get(row)) : sessions.get(row));
                texts.add(taken[row] ? histories.get(row).copy() : histories.get(row));
                taken[row] = true;
            }
        } catch (RuntimeException | Error e) {
            kept.removeAll(sessions);
            CompositeModel.closeAll(kept, e);
            throw e;
        }
        List<LanguageModel.Session> dropped = new ArrayList<>();
        for (int b = 0; b < taken.length; b++) {
            if (!taken[b]) {
                dropped.add(sessions.get(b));
            }
        }
        sessions = kept;
        histories = texts;
        CompositeModel.closeAll(dropped, null);
    }

    private LanguageModel.Session reread(TokenHistory history) {
        LanguageModel.Session session = model.open();
        try {
            session.feed(history.tokens());
            return session;
        } catch (RuntimeException | Error e) {
            session.close();
            throw e;
        }
    }

    @Override
    void release() {
        CompositeModel.closeAll(sessions, null);
    }
}
