package dev.jotune.kernel;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;

/** What a device cannot compute: its operands go to the host, the reference computes, the result comes back. Right, and slow. */
final class HostDetour {
    private final DeviceBackend device;
    private final Backend host = Backends.reference();

    HostDetour(DeviceBackend device) {
        this.device = device;
    }

    private Tensor in(Tensor t) {
        return host.adopt(t);
    }

    /** The tensor's shape on the host, with what is in it now. */
    private void through(Tensor out, java.util.function.Consumer<Tensor> work) {
        Tensor copy = in(out);
        work.accept(copy);
        Tensor back = device.adopt(copy);
        device.copy(back, out);
        back.storage().free();
    }

    void copy(Tensor source, Tensor target) {
        through(target, t -> host.copy(in(source), t));
    }

    void map(Program program, Tensor[] inputs, Tensor[] outputs) {
        Tensor[] results = Arrays.stream(outputs).map(this::in).toArray(Tensor[]::new);
        host.map(program, Arrays.stream(inputs).map(this::in).toArray(Tensor[]::new), results);
        for (int k = 0; k < outputs.length; k++) {
            Tensor back = device.adopt(results[k]);
            device.copy(back, outputs[k]);
            back.storage().free();
        }
    }

    void reduce(Reduction op, Tensor x, Tensor out) {
        through(out, t -> host.reduce(op, in(x), t));
    }

    void argmax(Tensor x, Tensor out) {
        through(out, t -> host.argmax(in(x), t));
    }

    void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        through(out, t -> host.matmul(in(a), in(b), t, accumulate));
    }

    void gather(Tensor table, Tensor ids, Tensor out) {
        through(out, t -> host.gather(in(table), in(ids), t));
    }

    void scatterAdd(Tensor rows, Tensor ids, Tensor table) {
        through(table, t -> host.scatterAdd(in(rows), in(ids), t));
    }

    void uniform(Tensor out, long seed, long stream) {
        through(out, t -> host.uniform(t, seed, stream));
    }

    void normal(Tensor out, long seed, long stream) {
        through(out, t -> host.normal(t, seed, stream));
    }
}
