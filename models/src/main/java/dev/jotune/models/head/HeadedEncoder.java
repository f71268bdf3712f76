package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;

/** An encoder with something on top: all but that is the encoder's. */
abstract class HeadedEncoder implements Encoder {
    private final Encoder base;

    HeadedEncoder(Encoder base) {
        this.base = base;
    }

    @Override
    public Hidden forward(EncoderInput input, Pass pass) {
        return base.forward(input, pass);
    }

    @Override
    public Seams seams() {
        return base.seams();
    }

    @Override
    public String modelType() {
        return base.modelType();
    }

    @Override
    public int hiddenSize() {
        return base.hiddenSize();
    }

    @Override
    public int layers() {
        return base.layers();
    }

    @Override
    public int contextLength() {
        return base.contextLength();
    }

    @Override
    public Backend backend() {
        return base.backend();
    }

    @Override
    public DType computeType() {
        return base.computeType();
    }

    @Override
    public void setCheckpointing(boolean on) {
        base.setCheckpointing(on);
    }

    /**
     * The state of each row's first token, {@code [B, C]}; a virtual one where a row has virtual tokens. Rows with fewer
     * of them than others begin with padding.
     */
    Var firstToken(Hidden hidden, Pass pass) {
        String site = seams().input().name();
        return pass.perGroup(hidden.states(), (rows, g) -> rows.select(1, hidden.virtualTokens() - g.virtualTokens(site)));
    }
}
