package dev.jotune.autograd;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Walks a recorded computation backwards.
 *
 * <p>Operations are visited in the reverse of the order in which they ran; each is visited once, when all of its
 * consumers have been. Gradients that have been passed on are freed at once.
 */
public final class Gradients {
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));

    private final Map<Var, Integer> wanted = new IdentityHashMap<>();
    private final Map<Node, Var[]> pending = new HashMap<>();
    private final PriorityQueue<Node> queue = new PriorityQueue<>(Comparator.comparingLong((Node n) -> n.id)
            .reversed());
    private final Var[] results;
    private final Set<Node> useful = new HashSet<>();
    /** How many gradients that wait or are asked for lie in a piece of memory. */
    private final Map<Storage, Integer> holders = new IdentityHashMap<>();
    private final boolean stopAtWanted;
    private final boolean release;
    /** Gradients that may have been passed on for good; looked through after each visit. */
    private final List<Var> spent = new ArrayList<>();
    /** Holds the walk's gradients; null while the walk itself is recorded, when nothing may be freed. */
    private Scope scope;
    private Scope temporary;
    /** The memory of the gradients that the visit at hand made or passes on, while they are handed out. */
    private final Set<Storage> arriving = Collections.newSetFromMap(new IdentityHashMap<>());

    private Gradients(List<Var> wrt, boolean stopAtWanted, boolean release) {
        for (int i = 0; i < wrt.size(); i++) {
            wanted.putIfAbsent(wrt.get(i), i);
        }
        this.results = new Var[wrt.size()];
        this.stopAtWanted = stopAtWanted;
        this.release = release;
    }

    /**
     * The gradients of a scalar by {@code wrt}; zeros where it does not depend on one.
     *
     * @throws IllegalArgumentException if {@code loss} has more than one element, or depends on nothing that is
     *     differentiable
     */
    public static List<Tensor> of(Var loss, List<Var> wrt) {
        return run(loss, wrt, false).stream().map(Var::tensor).toList();
    }

    /**
     * As {@link #of(Var, List)}, and frees every intermediate result on the way: memory shrinks as the walk goes.
     * Afterwards only {@code loss} and leaves may be used.
     */
    public static List<Tensor> consume(Var loss, List<Var> wrt) {
        checkScalar(loss);
        Var one = Var.constant(Tensor.full(loss.tensor().backend(), loss.tensor().dtype(), 1, loss.tensor().shape()));
        return Recording.off(() -> new Gradients(wrt, false, true).walk(List.of(loss), List.of(one), wrt, true))
                .stream().map(Var::tensor).toList();
    }

    /** As {@link #of(Var, List)}, recorded, so that the gradients can be differentiated again. */
    public static List<Var> differentiable(Var loss, List<Var> wrt) {
        return run(loss, wrt, true);
    }

    private static List<Var> run(Var loss, List<Var> wrt, boolean createGraph) {
        checkScalar(loss);
        Var one = Var.constant(Tensor.full(loss.tensor().backend(), loss.tensor().dtype(), 1, loss.tensor().shape()));
        return of(List.of(loss), List.of(one), wrt, createGraph);
    }

    private static void checkScalar(Var loss) {
        if (loss.tensor().numel() != 1) {
            throw new IllegalArgumentException("gradients need a scalar, the loss has shape "
                    + Arrays.toString(loss.shape()) + ". Reduce it with sum() or mean() first.");
        }
        if (!loss.requiresGrad()) {
            throw new IllegalArgumentException("the loss does not depend on anything that wants a gradient. "
                    + "Is a method attached and trainable, and was recording on?");
        }
    }

    /**
     * Vector-Jacobian products: the gradients by {@code wrt} of {@code sum_i <outputs_i, upstream_i>}.
     *
     * @param createGraph record the walk itself, for second derivatives
     */
    public static List<Var> of(List<Var> outputs, List<Var> upstream, List<Var> wrt, boolean createGraph) {
        Gradients g = new Gradients(wrt, false, false);
        return createGraph ? Recording.on(() -> g.walk(outputs, upstream, wrt, false))
                : Recording.off(() -> g.walk(outputs, upstream, wrt, true));
    }

    /** As {@link #of(List, List, List, boolean)}, but never looks behind {@code wrt}. For recomputation. */
    static List<Var> upTo(List<Var> outputs, List<Var> upstream, List<Var> wrt, boolean createGraph) {
        Gradients g = new Gradients(wrt, true, false);
        return createGraph ? Recording.on(() -> g.walk(outputs, upstream, wrt, false))
                : Recording.off(() -> g.walk(outputs, upstream, wrt, true));
    }

    /** As {@link #upTo}, not recorded, and frees what the operations left on the way. */
    static List<Var> consumeUpTo(List<Var> outputs, List<Var> upstream, List<Var> wrt) {
        return Recording.off(() -> new Gradients(wrt, true, true).walk(outputs, upstream, wrt, true));
    }

    private List<Var> walk(List<Var> outputs, List<Var> upstream, List<Var> wrt, boolean free) {
        markUseful(outputs);
        if (!free) {
            propagate(outputs, upstream);
            return finished(wrt);
        }
        try (Scope s = Scope.open()) {
            scope = s;
            // The caller may want to see where the walk began.
            outputs.forEach(v -> holders.merge(v.outline().storage(), 1, Integer::sum));
            propagate(outputs, upstream);
            List<Var> done = separate(finished(wrt), upstream);
            done.forEach(v -> s.keep(v.tensor()));
            return done;
        } finally {
            Node.freeAllRestored();
        }
    }

    private List<Var> finished(List<Var> wrt) {
        List<Var> out = new ArrayList<>();
        for (int i = 0; i < results.length; i++) {
            Tensor like = wrt.get(i).tensor();
            Var found = results[wanted.get(wrt.get(i))];
            out.add(found != null ? found
                    : Var.constant(Tensor.zeros(like.backend(), Types.compute(like.dtype()), like.shape())));
        }
        return out;
    }

    /** Dense results that share no memory, so that they can be changed in place: many derivatives are views. */
    private static List<Var> separate(List<Var> gradients, List<Var> upstream) {
        Set<Storage> taken = new HashSet<>();
        upstream.forEach(v -> taken.add(v.tensor().storage()));
        List<Var> out = new ArrayList<>();
        for (Var v : gradients) {
            Tensor t = v.tensor();
            out.add(taken.add(t.storage()) && t.isContiguous() ? v : Var.constant(t.copy()));
        }
        return out;
    }

    /** Finds the operations from which something wanted can be reached; the others are not visited. */
    private void markUseful(List<Var> outputs) {
        Map<Node, Boolean> seen = new IdentityHashMap<>();
        List<Node> order = new ArrayList<>();
        List<Node> stack = new ArrayList<>();
        outputs.forEach(v -> {
            if (v.node() != null) {
                stack.add(v.node());
            }
        });
        while (!stack.isEmpty()) {
            Node n = stack.removeLast();
            if (seen.put(n, true) != null) {
                continue;
            }
            order.add(n);
            for (Var v : n.inputs) {
                if (v.node() != null && !(stopAtWanted && wanted.containsKey(v))) {
                    stack.add(v.node());
                }
            }
        }
        order.sort(Comparator.comparingLong(n -> n.id));
        for (Node n : order) {
            for (Var v : n.inputs) {
                if (leads(v)) {
                    useful.add(n);
                    break;
                }
            }
        }
    }

    private boolean leads(Var v) {
        return wanted.containsKey(v) || v.node() != null && useful.contains(v.node());
    }

    private void propagate(List<Var> outputs, List<Var> upstream) {
        for (int i = 0; i < outputs.size(); i++) {
            deliver(outputs.get(i), upstream.get(i));
        }
        while (!queue.isEmpty()) {
            visit(queue.poll());
        }
    }

    private void visit(Node node) {
        Var[] up = pending.remove(node);
        boolean[] needed = new boolean[node.inputs.length];
        for (int i = 0; i < needed.length; i++) {
            needed[i] = leads(node.inputs[i]);
        }
        if (scope == null) {
            if (node.once) {
                throw new IllegalStateException(node + " was recorded for one walk, what later derivatives read is gone. "
                        + "Do not wrap in Recording.once what is differentiated twice.");
            }
            send(node, node.vjp.apply(up, needed), needed);
            return;
        }
        for (Var v : up) {
            if (v != null) {
                holders.merge(v.tensor().storage(), -1, Gradients::sumOrNone);
            }
        }
        spent.addAll(Arrays.asList(up));
        try (Scope s = Scope.open()) {
            temporary = s;
            Var[] down = node.vjp.apply(up, needed);
            for (Var v : down) {
                if (v != null) {
                    s.keep(v.tensor());
                }
            }
            spent.addAll(Arrays.asList(down));
            for (Var v : down) {
                if (v != null) {
                    arriving.add(v.tensor().storage());
                }
            }
            send(node, down, needed);
        } finally {
            temporary = null;
            arriving.clear();
        }
        for (Var v : spent) {
            if (v != null && !holders.containsKey(v.tensor().storage())) {
                scope.freeIfOwned(v.tensor());
            }
        }
        spent.clear();
        if (release) {
            releaseOutputs(node);
        }
    }

    /** All consumers of the outputs are done; the inputs of this node may still be views of the same memory. */
    private void releaseOutputs(Node node) {
        for (int i = 0; i < node.outputCount(); i++) {
            Tensor t = node.outline(i);
            boolean shared = false;
            for (Var in : node.inputs) {
                shared |= in.outline().storage() == t.storage();
            }
            if (!shared && !holders.containsKey(t.storage())) {
                Scope.free(t);
                node.freeRestored();
            }
        }
    }

    private void send(Node node, Var[] down, boolean[] needed) {
        for (int i = 0; i < needed.length; i++) {
            if (needed[i]) {
                if (down[i] == null) {
                    continue;
                }
                if (!Arrays.equals(down[i].shape(), node.inputs[i].shape())) {
                    throw new IllegalStateException("derivative of " + node.op + " by input " + i + " has shape "
                            + Arrays.toString(down[i].shape()) + ", the input "
                            + Arrays.toString(node.inputs[i].shape()));
                }
                deliver(node.inputs[i], down[i]);
            }
        }
    }

    private void deliver(Var to, Var gradient) {
        Integer slot = wanted.get(to);
        if (slot != null) {
            results[slot] = held(results[slot], gradient);
        }
        Node n = to.node();
        if (n == null || !useful.contains(n) || slot != null && stopAtWanted) {
            return;
        }
        Var[] up = pending.get(n);
        if (up == null) {
            up = new Var[n.outputCount()];
            pending.put(n, up);
            queue.add(n);
        }
        up[to.index()] = held(up[to.index()], gradient);
    }

    /** What waits at one place after {@code more} arrived. */
    private Var held(Var there, Var more) {
        if (scope == null) {
            return there == null ? more : there.add(more);
        }
        Var sum = there == null ? more : plus(there, more);
        if (sum != there) {
            holders.merge(sum.tensor().storage(), 1, Integer::sum);
        }
        return sum;
    }

    private Var plus(Var there, Var more) {
        Tensor a = there.tensor();
        Tensor b = more.tensor();
        if (mayBeOverwritten(a) && b.dtype() == a.dtype()) {
            a.backend().map(SUM, new Tensor[] {a, b}, new Tensor[] {a});
            return there;
        }
        holders.merge(a.storage(), -1, Gradients::sumOrNone);
        spent.add(there);
        Var sum = there.add(more);
        if (temporary != null) {
            temporary.keep(sum.tensor());
        }
        return sum;
    }

    /** Whether a gradient that waits was made by this walk, is seen from one place only and has an element at each place. */
    private boolean mayBeOverwritten(Tensor t) {
        return holders.get(t.storage()) == 1 && t.isContiguous() && (scope.owns(t) || temporary != null && temporary.owns(t))
                && !arriving.contains(t.storage());
    }

    private static Integer sumOrNone(int a, int b) {
        return a + b == 0 ? null : Integer.valueOf(a + b);
    }
}
