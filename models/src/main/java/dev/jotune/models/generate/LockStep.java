package dev.jotune.models.generate;

import java.util.List;

/** The session of a {@link CompositeModel}. */
final class LockStep implements LanguageModel.Session {

    private final List<LanguageModel.Session> members;
    private final CompositeModel.Combiner combiner;
    private final CompositeModel model;
    private final float[][] logits;
    private final TokenHistory history = new TokenHistory();
    private boolean closed;

    LockStep(List<LanguageModel.Session> members, CompositeModel.Combiner combiner, CompositeModel model) {
        this.members = List.copyOf(members);
        this.combiner = combiner;
        this.model = model;
        this.logits = model.room();
    }

    @Override
    public int length() {
        return history.length();
    }

    @Override
    public void feed(int... tokens) {
        // A member's vocabulary may be longer than what is made of it.
        Require.inVocabulary("The text", tokens, model.vocabularySize());
        int before = history.length();
        int fed = 0;
        try {
            for (LanguageModel.Session member : members) {
                member.feed(tokens);
                fed++;
            }
            history.append(tokens);
        } catch (RuntimeException e) {
            // One member refused: the others must not be a step ahead of it.
            for (LanguageModel.Session member : members.subList(0, fed)) {
                member.rewind(before);
            }
            throw e;
        }
    }

    @Override
    public void logits(float[] out) {
        for (int i = 0; i < logits.length; i++) {
            members.get(i).logits(logits[i]);
        }
        combiner.combine(history.array(), history.length(), logits, out);
    }

    @Override
    public void logits(float[][] out) {
        int n = out.length;
        float[][][] each = new float[logits.length][][];
        for (int i = 0; i < each.length; i++) {
            each[i] = new float[n][logits[i].length];
            members.get(i).logits(each[i]);
        }
        float[][] ofPlace = new float[each.length][];
        for (int t = 0; t < n; t++) {
            for (int i = 0; i < each.length; i++) {
                ofPlace[i] = each[i][t];
            }
            combiner.combine(history.array(), history.length() - n + 1 + t, ofPlace, out[t]);
        }
    }

    @Override
    public void rewind(int length) {
        history.rewind(length);
        for (LanguageModel.Session member : members) {
            member.rewind(length);
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            CompositeModel.closeAll(members, null);
        }
    }
}
