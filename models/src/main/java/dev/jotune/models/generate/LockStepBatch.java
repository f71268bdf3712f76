package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.List;

/** The batch of a {@link CompositeModel}: a batch of each member, with the same rows. */
final class LockStepBatch extends BatchRows {

    private final List<BatchSession> members;
    private final CompositeModel.Combiner combiner;
    private final CompositeModel model;
    private float[][][] logits;
    private final float[][] ofRow;
    private List<TokenHistory> histories = new ArrayList<>();

    LockStepBatch(List<BatchSession> members, CompositeModel.Combiner combiner, CompositeModel model, int rows) {
        super(rows, model.vocabularySize(), model.contextLength());
        this.members = List.copyOf(members);
        this.combiner = combiner;
        this.model = model;
        logits = room(rows);
        ofRow = new float[members.size()][];
        for (int b = 0; b < rows; b++) {
            histories.add(new TokenHistory());
        }
    }

    @Override
    void advance(int[][] tokens, float[][] out) {
        for (int i = 0; i < logits.length; i++) {
            members.get(i).read(tokens, logits[i]);
        }
        for (int b = 0; b < tokens.length; b++) {
            TokenHistory history = histories.get(b);
            history.append(tokens[b]);
            for (int i = 0; i < logits.length; i++) {
                ofRow[i] = logits[i][b];
            }
            combiner.combine(history.array(), history.length(), ofRow, out[b]);
        }
    }

    @Override
    void arrange(int[] rows) {
        for (BatchSession member : members) {
            member.reorder(rows);
        }
        List<TokenHistory> texts = new ArrayList<>();
        boolean[] taken = new boolean[histories.size()];
        for (int row : rows) {
            texts.add(taken[row] ? histories.get(row).copy() : histories.get(row));
            taken[row] = true;
        }
        histories = texts;
        if (rows.length != rows()) {
            logits = room(rows.length);
        }
    }

    /** [members][rows][V of each]. */
    private float[][][] room(int rows) {
        return model.members().stream().map(member -> new float[rows][member.vocabularySize()]).toArray(float[][][]::new);
    }

    @Override
    void release() {
        CompositeModel.closeAll(members, null);
    }
}
