package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What of the model's own weights an adapter trains in copies: single ones, biases, whole modules. */
final class Copies {
    private final Attachment a;
    private final List<String> whole;
    private final Map<String, Var> overrides = new LinkedHashMap<>();

    /** @param whole modules that are trained whole */
    Copies(Attachment a, List<String> whole) {
        this.a = a;
        this.whole = whole;
    }

    void override(Parameter p, String key) {
        overrides.put(p.path(), a.trainable(key, Init.copyOf(p.base().tensor()), p.shape()));
    }

    /** Has another tensor stand where the model has {@code p}, unless one does already. */
    void replace(Parameter p, Supplier<Var> other) {
        overrides.computeIfAbsent(p.path(), _ -> other.get());
    }

    Map<String, Var> overrides() {
        return overrides;
    }

    /** See {@link Attachment#biases}. */
    void biases(String which, String only, List<LinearLayer> targets) {
        if (!List.of("none", "all", only).contains(which)) {
            throw new AdapterException("bias is '" + which + "'; it must be none, all or " + only + ".");
        }
        for (Parameter p : a.model().seams().parameters().values()) {
            boolean adapted = targets.stream().anyMatch(l -> p.path().equals(l.path() + ".bias"));
            boolean kept = whole.stream().anyMatch(m -> isWithin(m, p.path()));
            if (p.path().endsWith(".bias") && !kept && (which.equals("all") || which.equals(only) && adapted)) {
                override(p, Attachment.key(adapted ? p.path().replaceFirst("bias$", "base_layer.bias") : p.path()));
            }
            if (p.path().endsWith(".bias") && kept && which.equals("all")) {
                wrappedBias(p);
            }
        }
    }

    /** PEFT writes every bias that there is: of a module that is trained whole both the copy's, once more, and the model's own. */
    private void wrappedBias(Parameter p) {
        String module = whole.stream().flatMap(m -> moduleOf(m, p.path()).stream()).findFirst().orElseThrow();
        String rest = p.path().substring(module.length() + 1);
        // Of the copy's names PEFT takes the adapter's out only where the bias follows at once; reading takes it out everywhere.
        String copy = Attachment.key(module) + (rest.contains(".") ? ".modules_to_save.default." : ".modules_to_save.") + rest;
        String own = Attachment.key(module) + ".original_module." + rest;
        a.derived(copy, () -> overrides.get(p.path()).tensor(), p.shape());
        a.derived(own, () -> p.base().tensor(), p.shape());
    }

    /** See {@link Attachment#modulesToSave(List, String, boolean)}. */
    void modulesToSave(List<String> modules, String keys, boolean tie) {
        Set<String> done = new HashSet<>();
        for (String m : modules) {
            boolean any = false;
            for (Parameter p : a.model().seams().parameters().values()) {
                if (isWithin(m, p.path())) {
                    any = true;
                    if (done.add(p.path())) {
                        whole(p, keys, tie);
                    }
                }
            }
            if (!any && TaskType.isOptional(m, a.model())) {
                continue;
            }
            // A tied head has no weight of its own, nor have both sides of an encoder-decoder; PEFT then copies the tied one.
            List<LinearLayer> tied = Stream.concat(a.model().seams().tables().values().stream(), a.model().seams().projections().values().stream())
                    .filter(l -> isWithin(m, l.path() + ".") && !l.weight().path().equals(l.path() + ".weight")).toList();
            if (!any && !tied.isEmpty()) {
                tied.stream().filter(l -> done.add(l.path())).forEach(l -> copy(l, keys));
            } else if (!any) {
                throw new AdapterException("modules_to_save: no module of the model is called '" + m + "'. It has: "
                        + modulesPreview());
            }
        }
    }

    /** A copy of a weight for all that read it; of one that is tied, for the table alone, as in PEFT. */
    private void whole(Parameter p, String keys, boolean asked) {
        List<LinearLayer> readers = a.model().seams().readers(p);
        boolean tie = asked && (!a.isLoading() || readers.stream().anyMatch(l -> !a.isTable(l) && a.holds(keys + l.path() + ".weight")));
        String module = p.path().substring(0, p.path().lastIndexOf('.'));
        if (!readers.isEmpty() && readers.stream().noneMatch(l -> l.path().equals(module))) {
            if (!a.isLoading()) {
                throw new AdapterException("modules_to_save: other modules read the weight of '" + module + "' under their own names, and PEFT "
                        + "trains such a copy without using it. Name " + readers.stream().map(LinearLayer::path).toList() + ".");
            }
            a.trainable(keys + p.path(), Init.ZEROS, p.shape());
            return;
        }
        if (readers.size() > 1 && a.isTable(readers.getFirst()) && !tie) {
            copy(readers.getFirst(), keys);
            return;
        }
        override(p, keys + p.path());
        // Its readers' names stand in the file too.
        readers.stream().filter(l -> tie && !a.isTable(l))
                .forEach(l -> a.derived(keys + l.path() + ".weight", overrides.get(p.path())::tensor, p.shape()));
    }

    private void copy(LinearLayer layer, String keys) {
        Parameter p = layer.weight();
        a.project(layer, new WholeCopy(a.trainable(keys + layer.path() + ".weight", Init.copyOf(p.base().tensor()), p.shape()), a.isTable(layer)));
    }

    /** Whether the parameter lies in a module whose path ends with {@code name}: a text, as in PEFT, not a whole segment. */
    static boolean isWithin(String name, String parameter) {
        return moduleOf(name, parameter).isPresent();
    }

    /** The outermost module around the parameter whose path ends with {@code name}. */
    private static Optional<String> moduleOf(String name, String parameter) {
        for (int dot = parameter.indexOf('.'); dot >= 0; dot = parameter.indexOf('.', dot + 1)) {
            if (parameter.startsWith(name, dot - name.length()) && dot >= name.length()) {
                return Optional.of(parameter.substring(0, dot));
            }
        }
        return Optional.empty();
    }

    private String modulesPreview() {
        return a.model().seams().parameters().keySet().stream().map(p -> p.substring(0, p.lastIndexOf('.')))
                .map(p -> p.substring(p.lastIndexOf('.') + 1)).distinct().sorted().collect(Collectors.joining(", "));
    }
}
