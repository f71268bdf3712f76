package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.List;

/** A model made of others whose sessions advance in lock step: the same history, each with its own state. */
abstract class CompositeModel implements LanguageModel {

    final List<LanguageModel> members;
    private final int vocabularySize;
    private final int contextLength;

    CompositeModel(List<LanguageModel> members) {
        if (members.isEmpty()) {
            throw new IllegalArgumentException("A combination of 0 models has no logits. Pass at least one model.");
        }
        this.members = List.copyOf(members);
        vocabularySize = members.getFirst().vocabularySize();
        int context = Integer.MAX_VALUE;
        for (int i = 0; i < members.size(); i++) {
            LanguageModel member = members.get(i);
            if (member.vocabularySize() != vocabularySize) {
                throw new IllegalArgumentException("Models of different vocabularies cannot be combined: model 0 has "
                        + vocabularySize + " tokens, model " + i + " has " + member.vocabularySize()
                        + ". Combine models that share a tokenizer.");
            }
            context = Math.min(context, member.contextLength());
        }
        contextLength = context;
    }

    /** Makes the combination of one session, with buffers of its own. */
    abstract Combiner combiner();

    /** What a composite does with its members' logits. */
    @FunctionalInterface
    interface Combiner {

        /**
         * @param history tokens so far, of which {@code length} count
         * @param members [members][V]; may be changed
         * @param out     [V]
         */
        void combine(int[] history, int length, float[][] members, float[] out);
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    /** The shortest of the members' contexts. */
    @Override
    public int contextLength() {
        return contextLength;
    }

    @Override
    public Session open() {
        List<Session> opened = new ArrayList<>();
        try {
            for (LanguageModel member : members) {
                opened.add(member.open());
            }
            return new LockStep(opened, combiner(), vocabularySize);
        } catch (RuntimeException | Error e) {
            closeAll(opened, e);
            throw e;
        }
    }

    @Override
    public boolean readsUnequal() {
        return members.stream().allMatch(LanguageModel::readsUnequal);
    }

    @Override
    public BatchSession openBatch(int rows) {
        List<BatchSession> opened = new ArrayList<>();
        try {
            for (LanguageModel member : members) {
                opened.add(member.openBatch(rows));
            }
            return new LockStepBatch(opened, combiner(), this, rows);
        } catch (RuntimeException | Error e) {
            closeAll(opened, e);
            throw e;
        }
    }

    /** Closes all, whatever any of them throws; what they throw is added to {@code first} if there is one. */
    static void closeAll(List<? extends AutoCloseable> sessions, Throwable first) {
        RuntimeException failure = null;
        for (AutoCloseable session : sessions) {
            try {
                session.close();
            } catch (Exception thrown) {
                RuntimeException e = thrown instanceof RuntimeException own ? own : new IllegalStateException(thrown);
                if (first != null) {
                    first.addSuppressed(e);
                } else if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
