package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A batch of any model: a session for each row. A row that is copied is read again, so a model that can do better
 * should.
 */
final class SeparateRows extends BatchRows {

    private final LanguageModel model;
    private List<LanguageModel.Session> sessions = new ArrayList<>();
    private List<TokenHistory> histories = new ArrayList<>();
    /** What each session was fed first, which is its prompt. */
    private List<int[]> prompts = new ArrayList<>();

    SeparateRows(LanguageModel model, int rows) {
        super(rows, model.vocabularySize(), model.contextLength());
        this.model = model;
        try {
            for (int b = 0; b < rows; b++) {
                sessions.add(model.open());
                histories.add(new TokenHistory());
                prompts.add(new int[0]);
            }
        } catch (RuntimeException | Error e) {
            CompositeModel.closeAll(sessions, e);
            throw e;
        }
    }

    @Override
    void advance(int[][] tokens, float[][] logits) {
        for (int b = 0; b < tokens.length; b++) {
            if (length(b) == 0) {
                prompts.set(b, tokens[b].clone());
            }
            sessions.get(b).feed(tokens[b]);
            histories.get(b).append(tokens[b]);
            sessions.get(b).logits(logits[b]);
        }
    }

    @Override
    void arrange(int[] rows) {
        List<LanguageModel.Session> kept = new ArrayList<>();
        List<TokenHistory> texts = new ArrayList<>();
        List<int[]> begun = new ArrayList<>();
        boolean[] taken = new boolean[sessions.size()];
        try {
            for (int row : rows) {
                kept.add(taken[row] ? reread(row) : sessions.get(row));
                texts.add(taken[row] ? histories.get(row).copy() : histories.get(row));
                begun.add(prompts.get(row));
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
        prompts = begun;
        CompositeModel.closeAll(dropped, null);
    }

    private LanguageModel.Session reread(int row) {
        LanguageModel.Session session = model.open();
        try {
            int[] text = histories.get(row).tokens();
            session.feed(prompts.get(row));
            session.feed(Arrays.copyOfRange(text, prompts.get(row).length, text.length));
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
