package dev.jotune.models.patch;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.ArrayList;
import java.util.List;

/** L pre-norm blocks, one after the other. What is before and behind them is the model's. */
public final class PreNormStack {
    private final Seams seams;
    /** The number of this stack's first attention among all of the model. */
    private final int firstSite;
    private final StackOptions options;
    private final List<PreNormBlock> blocks = new ArrayList<>();

    public PreNormStack(StackOptions options, Weights w, Seams seams) {
        this.options = options;
        this.seams = seams;
        firstSite = seams.attentions().size();
        for (int i = 0; i < options.layers(); i++) {
            blocks.add(new PreNormBlock(options, i, w, seams));
        }
    }

    public StackOptions options() {
        return options;
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}, the last block's output before any norm.
     *
     * @param visible what a position sees of the others
     * @param checkpointing whether blocks are recomputed in the backward pass
     */
    public Var forward(Var h, Attention.Visible visible, boolean checkpointing, Pass pass) {
        List<List<Attention.Segment>> added = pass.segments(seams.attentions(), h.size(0));
        Var x = h;
        for (int i = 0; i < blocks.size(); i++) {
            PreNormBlock block = blocks.get(i);
            List<Attention.Segment> segments = added.get(firstSite + i);
            x = Checkpoint.when(checkpointing, v -> block.forward(v, segments, visible, pass), x);
        }
        return x;
    }
}
