package dev.jotune.autograd;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * A part of a computation after which only the memory stays that first derivatives read; and of that, what is computed
 * again in less time than it would take to matter (norms, activations, copies) goes as well and returns in the backward
 * pass. Values and gradients are the same bit for bit.
 *
 * <p>Only under {@link Recording#once}: whoever wants to differentiate twice needs everything.
 */
public final class Trim {
    private final long start;
    private final Scope scope;
    private final List<Node> nodes;
    /** Memory that stays. */
    private final Set<Storage> kept = identitySet();
    /** Of that, memory which must stay where it is. */
    private final Set<Storage> firm = identitySet();
    private final Map<Storage, List<Node>> makers = new IdentityHashMap<>();

    private Trim(Var[] outputs, long start, Scope scope) {
        this.start = start;
        this.scope = scope;
        this.nodes = since(outputs, start);
        for (Var v : outputs) {
            kept.add(v.outline().storage());
            firm.add(v.outline().storage());
        }
    }

    private static Set<Storage> identitySet() {
        return Collections.newSetFromMap(new IdentityHashMap<>());
    }

    /**
     * {@code f(inputs)}.
     *
     * @param f must not keep anything it makes except in its result
     */
    public static Var[] apply(Function<Var[], Var[]> f, Var... inputs) {
        if (!Recording.isOnce()) {
            return f.apply(inputs);
        }
        long start = Node.now();
        try (Scope scope = Scope.open()) {
            Var[] outputs = f.apply(inputs);
            Trim trim = new Trim(outputs, start, scope);
            if (trim.nodes.isEmpty()) {
                // Nothing was recorded, so nobody will read more than the result.
                for (Var v : outputs) {
                    scope.keep(v.outline());
                }
            } else {
                trim.run();
                scope.keepAll();
            }
            return outputs;
        }
    }

    private void run() {
        for (Node n : nodes) {
            note(n);
        }
        for (Node n : nodes) {
            for (int i = 0; i < n.outputCount(); i++) {
                release(n, i);
            }
        }
    }

    /** The operations after {@code start} that {@code outputs} were computed by, in the order in which they ran. */
    private static List<Node> since(Var[] outputs, long start) {
        Set<Node> seen = new HashSet<>();
        List<Var> stack = new ArrayList<>(Arrays.asList(outputs));
        while (!stack.isEmpty()) {
            Node n = stack.removeLast().node();
            if (n != null && n.id > start && seen.add(n)) {
                stack.addAll(Arrays.asList(n.inputs));
            }
        }
        return seen.stream().sorted(Comparator.comparingLong(n -> n.id)).toList();
    }

    private void note(Node n) {
        for (int i = 0; i < n.inputs.length; i++) {
            Var v = n.inputs[i];
            if (n.reads.input(i)) {
                Storage s = v.outline().storage();
                kept.add(s);
                if (!n.reads.declared() || v.node() == null) {
                    firm.add(s);
                }
            }
        }
        boolean view = n.isView();
        for (int i = 0; i < n.outputCount(); i++) {
            Storage s = n.outline(i).storage();
            if (n.reads.output(i)) {
                kept.add(s);
                firm.add(s);
            }
            // What an operation writes over another's output counts as made by both, whatever may see it.
            if (!view || n.reads.again().isEmpty()) {
                makers.computeIfAbsent(s, k -> new ArrayList<>()).add(n);
            }
        }
    }

    private void release(Node n, int i) {
        Storage s = n.outline(i).storage();
        if (!kept.contains(s)) {
            scope.freeIfOwned(n.outline(i));
        } else if (!firm.contains(s)) {
            List<Node> by = makers.getOrDefault(s, List.of());
            if (by.size() == 1 && by.getFirst() == n && i == n.outputCount() - 1 && isCheap(n)) {
                scope.freeIfOwned(n.outline(i));
                n.letGo();
            } else if (by.size() == 1 && !s.isAlive()) {
                // A view of what has just gone.
                n.letGo();
            } else {
                firm.add(s);
            }
        }
    }

    /** Whether the output can be made again from what stays. */
    private boolean isCheap(Node n) {
        if (n.reads.again().isEmpty()) {
            return false;
        }
        if (n.reads.outputs() != 0) {
            return true;
        }
        for (Var v : n.inputs) {
            boolean made = v.node() != null && v.node().id > start;
            if (made && !firm.contains(v.outline().storage())) {
                return false;
            }
        }
        return true;
    }
}
