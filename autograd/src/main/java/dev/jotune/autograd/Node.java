package dev.jotune.autograd;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/** One recorded operation: where it came from and how gradients flow back through it. */
public final class Node {
    /** The vector-Jacobian product of an operation. */
    @FunctionalInterface
    public interface Vjp {
        /**
         * @param upstream the gradient by each output, null where nothing arrived
         * @param needed which inputs want a gradient; the others may be null in the result
         * @return the gradient by each input
         */
        Var[] apply(Var[] upstream, boolean[] needed);
    }

    private static final AtomicLong COUNT = new AtomicLong();
    /** Nodes of this thread whose outputs were computed again and not freed since. */
    private static final ThreadLocal<Set<Node>> RESTORED = ThreadLocal.withInitial(HashSet::new);

    final long id = COUNT.incrementAndGet();
    final String op;
    final Var[] inputs;
    final Reads reads;
    final Vjp vjp;
    /** Whether it was recorded for a single walk, so that what later derivatives read may be gone. */
    final boolean once = Recording.isOnce();
    private final Tensor[] outputs;
    private boolean gone;

    Node(String op, Var[] inputs, Tensor[] outputs, Reads reads, Vjp vjp) {
        this.op = op;
        this.inputs = inputs;
        this.outputs = outputs;
        this.reads = reads;
        this.vjp = vjp;
    }

    /** The number that the next recorded operation will exceed. */
    static long now() {
        return COUNT.get();
    }

    static Var[] record(String op, Var[] inputs, Tensor[] outputs, Vjp vjp) {
        return record(op, inputs, outputs, Reads.UNKNOWN, vjp);
    }

    /** Makes outputs that remember {@code vjp}, or plain constants where no input wants a gradient. */
    static Var[] record(String op, Var[] inputs, Tensor[] outputs, Reads reads, Vjp vjp) {
        boolean any = false;
        if (Recording.isOn()) {
            for (Var v : inputs) {
                any |= v.requiresGrad();
            }
        }
        Var[] out = new Var[outputs.length];
        Node node = any ? new Node(op, inputs, outputs, reads, vjp) : null;
        for (int i = 0; i < out.length; i++) {
            out[i] = node == null ? Var.constant(outputs[i]) : new Var(node, i);
        }
        return out;
    }

    static Var record1(String op, Var[] inputs, Tensor output, Reads reads, Vjp vjp) {
        return record(op, inputs, new Tensor[] {output}, reads, vjp)[0];
    }

    int outputCount() {
        return outputs.length;
    }

    /** Output {@code i} with its values, computed again if {@link #letGo} gave them up. */
    Tensor output(int i) {
        if (gone && i == last()) {
            restore();
        }
        return outputs[i];
    }

    /** Output {@code i} for its shape and type; its memory may be gone. */
    Tensor outline(int i) {
        return outputs[i];
    }

    private int last() {
        return outputs.length - 1;
    }

    /** Whether its last output lies in the memory of an input. */
    boolean isView() {
        for (Var v : inputs) {
            if (v.outline().storage() == outputs[last()].storage()) {
                return true;
            }
        }
        return false;
    }

    /** Notes that the last output's memory is gone; it is computed again when it is next read. */
    void letGo() {
        gone = true;
    }

    private void restore() {
        try (Scope scope = Scope.open()) {
            outputs[last()] = Recording.off(reads.again().orElseThrow());
            // A view is made at every use: what it looks at may go and come.
            if (!isView()) {
                Scope.detach(outputs[last()]);
                RESTORED.get().add(this);
                gone = false;
            }
        }
    }

    /** Frees the outputs if they were computed again: no scope knows of them. */
    void freeRestored() {
        if (RESTORED.get().remove(this)) {
            outputs[last()].storage().free();
            gone = true;
        }
    }

    /** Frees what this thread computed again for a walk that is over. */
    static void freeAllRestored() {
        List.copyOf(RESTORED.get()).forEach(Node::freeRestored);
    }

    @Override
    public String toString() {
        return op + "#" + id;
    }
}
