package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seam.Stack;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * {@link Lora} on a weight by name, PEFT's {@code target_parameters}: {@code W_e' = W_e + s B_e A_e} for each of the E experts that a
 * parameter {@code [E, out, in]} holds, in one tensor {@code A [E r, in]}, expert by expert, and one {@code B [out, r E]}, in which the
 * experts of a rank lie beside each other. A weight {@code [out, in]} is one expert.
 *
 * @param a {@code [E r, in]}
 * @param b {@code [out, r E]}
 * @param expert e
 * @param experts E
 * @param from first row of the layer's part of out
 * @param to behind its last
 */
record ParameterFactors(Var a, Var b, int expert, int experts, long from, long to, double scale) implements Projection {
    private LoraFactors own() {
        long r = a.size(0) / experts;
        Var up = b.reshape(b.size(0), r, experts).slice(2, expert, expert + 1).reshape(b.size(0), r).slice(0, from, to);
        return new LoraFactors(a.slice(0, expert * r, (expert + 1) * r), up, Optional.empty(), scale, 0);
    }

    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        return own().forward(x, inner, layer, pass);
    }

    @Override
    public Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
        return own().lowRank(x, layer, pass);
    }

    @Override
    public Var weight(Var w) {
        return own().weight(w);
    }

    /** Attaches to what {@code target_parameters} names, if it names anything. */
    static void attachTo(Attachment a, Lora lora, List<LinearLayer> targets) {
        if (lora.targetParameters().isEmpty()) {
            return;
        }
        if (lora.loraDropout() != 0 || lora.useDora() || lora.loraBias()) {
            throw new AdapterException("target_parameters are adapted without lora_dropout, use_dora and lora_bias, and one of these is set. "
                    + "Set it to 0 or false, or name target_modules instead.");
        }
        Map<String, List<Stack>> modules = new LinkedHashMap<>();
        all(a.model().seams()).stream().filter(s -> isNamed(s.module() + "." + s.name(), lora.targetParameters()))
                .forEach(s -> modules.computeIfAbsent(s.module(), _ -> new ArrayList<>()).add(s));
        if (modules.isEmpty()) {
            throw new AdapterException("target_parameters " + lora.targetParameters() + " matches no weight of the model. Name them by how "
                    + "they end, such as " + all(a.model().seams()).getFirst().module() + ".weight.");
        }
        modules.values().forEach(stacks -> stacks.forEach(s -> attach(a, lora, s, key(stacks, s), targets)));
    }

    /** The weights of all layers and tables: what the field knows as one, then the others under their own names. */
    private static List<Stack> all(Seams seams) {
        List<Stack> out = new ArrayList<>(seams.stacks());
        seams.tables().values().forEach(l -> out.add(Stack.of(l.path(), l)));
        seams.projections().values().stream().filter(l -> seams.stacks().stream().noneMatch(s -> s.experts().stream().anyMatch(e -> e.contains(l))))
                .forEach(l -> out.add(Stack.of(l.path(), l)));
        return out;
    }

    private static boolean isNamed(String parameter, List<String> names) {
        return names.stream().anyMatch(n -> parameter.equals(n) || parameter.endsWith("." + n));
    }

    /** PEFT wraps a module once for each of its parameters: the last wrapper is the outermost. */
    private static String key(List<Stack> ofModule, Stack s) {
        return Attachment.key(s.module()) + ".base_layer".repeat(ofModule.size() - 1 - ofModule.indexOf(s));
    }

    private static void attach(Attachment a, Lora lora, Stack stack, String key, List<LinearLayer> targets) {
        String name = stack.module() + "." + stack.name();
        int rank = lora.rank(name);
        if (rank <= 0) {
            throw new AdapterException("rank_pattern gives " + name + " the rank " + rank + "; it must be positive.");
        }
        double scale = lora.scale(name);
        Init[] start = lora.start().ofParameters(rank);
        int experts = stack.experts().size();
        LinearLayer first = stack.experts().getFirst().getFirst();
        if (stack.experts().stream().flatMap(List::stream).anyMatch(targets::contains)) {
            throw new AdapterException("target_parameters names " + name + ", whose layer target_modules names too. Name it once.");
        }
        if (first.transposed()) {
            Var down = a.trainable(key + ".lora_A.weight", start[0], rank, first.weight().size(1));
            Var up = a.trainable(key + ".lora_B.weight", start[1], first.weight().size(0), rank);
            a.project(first, new TurnedFactors(down, up, scale));
            return;
        }
        Var down = a.trainable(key + ".lora_A.weight", start[0], (long) rank * experts, stack.in());
        Var up = a.trainable(key + ".lora_B.weight", start[1], stack.out(), (long) rank * experts);
        for (int e = 0; e < experts; e++) {
            long row = 0;
            for (LinearLayer layer : stack.experts().get(e)) {
                a.project(layer, new ParameterFactors(down, up, e, experts, row, row + layer.out(), scale));
                row += layer.out();
            }
        }
    }
}
