package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * What a decoder reads: token ids or their embeddings.
 *
 * @param ids I64 {@code [B, T]}
 * @param embeds {@code [B, T, C]}, instead of ids
 * @param mask {@code [B, T]}, non-zero where there is a token and zero at padding
 * @param positions I64 {@code [B, T]}, counted within the text: what is virtual or prefixed is added by the model.
 *     By default they count on from the cache, over padding too.
 * @param branches where a row holds several continuations of one text; positions are then given
 * @param instruction {@code [B, T]}, non-zero where the text is given and zero where it is to be written: what virtual tokens
 *     may depend on. By default the tokens before the first label of a loss, and else all of the first pass over a text.
 */
public record DecoderInput(Optional<Tensor> ids, Optional<Var> embeds, Optional<Tensor> mask, Optional<Tensor> positions,
        Optional<Branches> branches, Optional<Tensor> instruction) {
    public DecoderInput {
        if (ids.isPresent() == embeds.isPresent()) {
            throw new IllegalArgumentException("give either token ids or embeddings");
        }
    }

    /** One text a row. */
    public DecoderInput(Optional<Tensor> ids, Optional<Var> embeds, Optional<Tensor> mask, Optional<Tensor> positions) {
        this(ids, embeds, mask, positions, Optional.empty(), Optional.empty());
    }

    public static DecoderInput of(Tensor ids) {
        return new DecoderInput(Optional.of(ids), Optional.empty(), Optional.empty(), Optional.empty());
    }

    public static DecoderInput of(Tensor ids, Tensor mask) {
        return new DecoderInput(Optional.of(ids), Optional.empty(), Optional.of(mask), Optional.empty());
    }

    public static DecoderInput of(Var embeds) {
        return new DecoderInput(Optional.empty(), Optional.of(embeds), Optional.empty(), Optional.empty());
    }

    public DecoderInput withMask(Tensor m) {
        return new DecoderInput(ids, embeds, Optional.of(m), positions, branches, instruction);
    }

    public DecoderInput withPositions(Tensor p) {
        return new DecoderInput(ids, embeds, mask, Optional.of(p), branches, instruction);
    }

    /**
     * The same tokens as continuations of one text.
     *
     * @throws IllegalArgumentException if they do not cover the row, or positions were not given
     */
    public DecoderInput withBranches(Branches b) {
        if (b.time() != time() || positions.isEmpty()) {
            throw new IllegalArgumentException("branches of " + b.time() + " columns do not fit a row of " + time() + " tokens with"
                    + (positions.isEmpty() ? "out" : "") + " positions. Give a position for each token, and branches for all of them.");
        }
        return new DecoderInput(ids, embeds, mask, positions, Optional.of(b), instruction);
    }

    public DecoderInput withInstruction(Tensor i) {
        return new DecoderInput(ids, embeds, mask, positions, branches, Optional.of(i));
    }

    /**
     * With the instruction that {@code labels [B, T]} leave over: the tokens before a row's first label, and the first token
     * that is no padding, so that there is one. What was said before stays.
     */
    public DecoderInput withInstructionBefore(Tensor labels) {
        if (instruction.isPresent()) {
            return this;
        }
        int time = Math.toIntExact(time());
        long[] values = labels.toLongArray();
        boolean[] given = new boolean[values.length];
        for (int b = 0; b < values.length / time; b++) {
            int first = first(b);
            for (int t = first; t < time; t++) {
                given[b * time + t] = t == first || given[b * time + t - 1] && values[b * time + t] == -100;
            }
        }
        return withInstruction(Tensor.of(labels.backend(), given, labels.shape()));
    }

    /** The first column of a row that is no padding; T if all are. */
    private int first(int row) {
        int time = Math.toIntExact(time());
        int t = 0;
        if (mask.isPresent()) {
            double[] real = mask.get().toDoubleArray();
            while (t < time && real[row * time + t] == 0) {
                t++;
            }
        }
        return t;
    }

    /**
     * The labels {@code [B, T]} without each row's first where virtual tokens have read its token, which they alone stand before:
     * nothing would be learnt by repeating it.
     *
     * @param site where the text is embedded
     */
    public Tensor unread(Tensor labels, Pass pass, String site) {
        if (instruction.isEmpty() || pass.groups().stream().noneMatch(g -> g.readsText(site))) {
            return labels;
        }
        int time = Math.toIntExact(time());
        long[] values = labels.toLongArray();
        double[] given = instruction.get().toDoubleArray();
        for (Group g : pass.groups()) {
            for (int b = 0; b < values.length / time; b++) {
                int at = b * time + first(b);
                if (g.readsText(site) && (g.rows().isEmpty() || g.rows().contains(b)) && at < (b + 1) * time && given[at] != 0) {
                    values[at] = -100;
                }
            }
        }
        return Tensor.of(labels.backend(), values, labels.shape());
    }

    /** Rows (B). */
    public long batch() {
        return ids.map(t -> t.size(0)).orElseGet(() -> embeds.get().size(0));
    }

    /** Tokens of a row (T). */
    public long time() {
        return ids.map(t -> t.size(1)).orElseGet(() -> embeds.get().size(1));
    }
}
