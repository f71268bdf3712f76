package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A {@link Term} as a model: its members' sessions advance in lock step, the same history, each with its own state. */
final class CompositeModel implements LanguageModel {

    private final Term root;
    private final List<LanguageModel> members;
    private final int contextLength;

    CompositeModel(Term root) {
        this.root = root;
        Set<LanguageModel> models = new LinkedHashSet<>();
        root.collect(models);
        members = List.copyOf(models);
        contextLength = members.stream().mapToInt(LanguageModel::contextLength).min().orElse(Integer.MAX_VALUE);
    }

    Term root() {
        return root;
    }

    List<LanguageModel> members() {
        return members;
    }

    /** What a composite does with its members' logits. */
    @FunctionalInterface
    interface Combiner {

        /**
         * @param history tokens so far, of which {@code length} count
         * @param members [members][V of each]
         * @param out     [V]
         */
        void combine(int[] history, int length, float[][] members, float[] out);
    }

    /** Makes the computation of one session, with buffers of its own. */
    private Combiner combiner() {
        Term.Step step = step();
        double[][] wide = new double[members.size()][];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = new double[members.get(i).vocabularySize()];
        }
        return (history, length, logits, out) -> {
            for (int i = 0; i < wide.length; i++) {
                for (int token = 0; token < wide[i].length; token++) {
                    wide[i][token] = logits[i][token];
                }
            }
            Term.narrow(step.at(history, length, wide), out);
        };
    }

    /** The formula over logits in the order of the members. */
    Term.Step step() {
        Map<LanguageModel, Integer> places = new LinkedHashMap<>();
        for (LanguageModel member : members) {
            places.put(member, places.size());
        }
        return root.step(places);
    }

    /** Room for the logits of each member. */
    float[][] room() {
        return members.stream().map(member -> new float[member.vocabularySize()]).toArray(float[][]::new);
    }

    @Override
    public int vocabularySize() {
        return root.vocabularySize();
    }

    /** The shortest of the members' contexts. */
    @Override
    public int contextLength() {
        return contextLength;
    }

    /** Within a formula a difference may be 0, as that of equal experts, but 0 alone says nothing of a text. */
    private void requireMembers() {
        if (members.isEmpty()) {
            throw new IllegalArgumentException("All weights of the combination are or add up to 0, which leaves no "
                    + "model. Give one of them a weight.");
        }
    }

    @Override
    public Session open() {
        requireMembers();
        List<Session> opened = new ArrayList<>();
        try {
            for (LanguageModel member : members) {
                opened.add(member.open());
            }
            return new LockStep(opened, combiner(), this);
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
        requireMembers();
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
