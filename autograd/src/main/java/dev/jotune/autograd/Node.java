package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
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

    final long id = COUNT.incrementAndGet();
    final String op;
    final Var[] inputs;
    final Tensor[] outputs;
    final Vjp vjp;

    Node(String op, Var[] inputs, Tensor[] outputs, Vjp vjp) {
        this.op = op;
        this.inputs = inputs;
        this.outputs = outputs;
        this.vjp = vjp;
    }

    /** The number that the next recorded operation will exceed. */
    static long now() {
        return COUNT.get();
    }

    /** Makes outputs that remember {@code vjp}, or plain constants where no input wants a gradient. */
    static Var[] record(String op, Var[] inputs, Tensor[] outputs, Vjp vjp) {
        boolean any = false;
        if (Recording.isOn()) {
            for (Var v : inputs) {
                any |= v.requiresGrad();
            }
        }
        Var[] out = new Var[outputs.length];
        Node node = any ? new Node(op, inputs, outputs, vjp) : null;
        for (int i = 0; i < out.length; i++) {
            out[i] = node == null ? Var.constant(outputs[i]) : new Var(outputs[i], node, i);
        }
        return out;
    }

    static Var record1(String op, Var[] inputs, Tensor output, Vjp vjp) {
        return record(op, inputs, new Tensor[] {output}, vjp)[0];
    }

    @Override
    public String toString() {
        return op + "#" + id;
    }
}
