package dev.jotune.models;

import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;

/** What every network keeps: its seams, where it computes, and whether its blocks are computed again in the backward pass. */
public abstract class Network implements Backbone {
    protected final Seams seams;
    protected final Backend backend;
    protected final DType computeType;
    private boolean checkpointing;

    /** @param computeType F32, or F64 on the reference backend */
    protected Network(Seams seams, Backend backend, DType computeType) {
        this.seams = seams;
        this.backend = backend;
        this.computeType = computeType;
    }

    @Override
    public final Seams seams() {
        return seams;
    }

    @Override
    public final Backend backend() {
        return backend;
    }

    @Override
    public final DType computeType() {
        return computeType;
    }

    @Override
    public void setCheckpointing(boolean on) {
        checkpointing = on;
    }

    /** Whether blocks are to run through {@link dev.jotune.autograd.Checkpoint#when}. */
    protected final boolean checkpointing() {
        return checkpointing;
    }
}
