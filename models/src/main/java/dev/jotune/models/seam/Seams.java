package dev.jotune.models.seam;

import dev.jotune.autograd.Recording;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Everything of a model that a method can hold on to, and what is attached at present. The model itself stays as it
 * was loaded: taking everything off gives back exactly the model, because nothing was ever changed.
 */
public final class Seams {
    private final SequencedMap<String, Parameter> parameters = new LinkedHashMap<>();
    private final SequencedMap<String, LinearLayer> projections = new LinkedHashMap<>();
    private final SequencedMap<String, LinearLayer> tables = new LinkedHashMap<>();
    private final List<Stack> stacks = new ArrayList<>();
    private final List<AttentionSite> attentions = new ArrayList<>();
    private final Map<AttentionSite, KeysAndValues> keysAndValues = new HashMap<>();
    private final SequencedMap<String, EmbeddingSite> embeddings = new LinkedHashMap<>();
    private final SequencedMap<String, TapSite> taps = new LinkedHashMap<>();
    private final SequencedMap<String, Hooks> attached = new LinkedHashMap<>();
    private final Map<String, HookSource> sources = new LinkedHashMap<>();
    private final List<String> active = new ArrayList<>();
    private Precision precision = Precision.F32;

    // ---- the model's side ----

    public Parameter add(Parameter p) {
        if (parameters.put(p.path(), p) != null) {
            throw new IllegalStateException("parameter " + p.path() + " is there twice");
        }
        p.setPrecision(precision);
        return p;
    }

    public LinearLayer add(LinearLayer l) {
        projections.put(l.path(), l);
        return l;
    }

    /** Says that the field knows some layers as one weight. Of one module the parameters come in the order that it declares them. */
    public void add(Stack s) {
        stacks.add(s);
    }

    /** Adds a table {@code [N, C]} whose rows are looked up, and returns the place that it is. */
    public LinearLayer addTable(Parameter p) {
        return addTable(p.path().substring(0, p.path().lastIndexOf('.')), p);
    }

    /** The same for a module that has its table of another one, as each side of an encoder-decoder has. */
    public LinearLayer addTable(String path, Parameter p) {
        LinearLayer table = new LinearLayer(path, p, Optional.empty(), true);
        tables.put(path, table);
        return table;
    }

    /** Adds an attention, and the tap that shows its probabilities. */
    public AttentionSite add(AttentionSite a) {
        attentions.add(a);
        add(new TapSite(a.weightsTap(), TapSite.Kind.SHOWN, List.of(), Optional.empty()));
        return a;
    }

    /** As {@link #add(AttentionSite)}, and says how the attention makes its keys and values. */
    public AttentionSite add(AttentionSite a, KeysAndValues keys) {
        keysAndValues.put(a, keys);
        return add(a);
    }

    public EmbeddingSite add(EmbeddingSite e) {
        embeddings.put(e.name(), e);
        return e;
    }

    /** Adds the activation {@code name}, {@code [B, T, features]}, and returns the name. */
    public String addTap(String name, long... features) {
        return add(new TapSite(name, TapSite.Kind.TOKENS, sizes(features), Optional.empty()));
    }

    /** The same for what {@code reader} reads, and nothing else does. */
    public String addTap(String name, LinearLayer reader, long... features) {
        return add(new TapSite(name, TapSite.Kind.TOKENS, sizes(features), Optional.of(reader)));
    }

    /** The same for what a row has one of, {@code [B, features]}. */
    public String addRowTap(String name, long... features) {
        return add(new TapSite(name, TapSite.Kind.ROWS, sizes(features), Optional.empty()));
    }

    private String add(TapSite site) {
        if (taps.put(site.name(), site) != null) {
            throw new IllegalStateException("tap " + site.name() + " is there twice");
        }
        return site.name();
    }

    private static List<Long> sizes(long... features) {
        return Arrays.stream(features).boxed().toList();
    }

    /**
     * How exactly the products with the model's weights are computed, from now on: to F32's accuracy, which is the
     * default, or with both operands rounded to BF16. The products of attention are rounded too on a device that gains by it. Sums,
     * norms, softmax, and what adapters train stay in F32.
     */
    public void setPrecision(Precision p) {
        precision = p;
        parameters.values().forEach(parameter -> parameter.setPrecision(p));
    }

    public Precision precision() {
        return precision;
    }

    // ---- the methods' side ----

    /** Every weight by checkpoint path. */
    public Map<String, Parameter> parameters() {
        return java.util.Collections.unmodifiableMap(parameters);
    }

    /** Every linear layer by module path, in the order of the checkpoint. */
    public Map<String, LinearLayer> projections() {
        return java.util.Collections.unmodifiableMap(projections);
    }

    /**
     * Every table of embeddings by module path, as the linear layer that it is to one-hot rows: {@code E^T [C, N]}. What
     * hangs on one are {@link RowProjection}s.
     */
    public Map<String, LinearLayer> tables() {
        return java.util.Collections.unmodifiableMap(tables);
    }

    /** Every weight that the field knows as one and that lies here in layers of their own, or under another name. */
    public List<Stack> stacks() {
        return java.util.Collections.unmodifiableList(stacks);
    }

    /** The linear layer or table at a path that something hangs on. */
    public LinearLayer projected(String path) {
        LinearLayer table = tables.get(path);
        return table != null ? table : projections.get(path);
    }

    /** All linear layers and tables that read {@code p}: a tied head reads the table of the embeddings. */
    public List<LinearLayer> readers(Parameter p) {
        return Stream.concat(tables.values().stream(), projections.values().stream()).filter(l -> l.weight() == p).toList();
    }

    /** Every attention, first layer first. */
    public List<AttentionSite> attentions() {
        return List.copyOf(attentions);
    }

    /** How an attention makes its keys and values; absent where a model does not say. */
    public Optional<KeysAndValues> keysAndValues(AttentionSite site) {
        return Optional.ofNullable(keysAndValues.get(site));
    }

    /** Every place where embeddings enter, by name, the main one first. */
    public SequencedMap<String, EmbeddingSite> embeddings() {
        return java.util.Collections.unmodifiableSequencedMap(embeddings);
    }

    /**
     * The main embedding input.
     *
     * @throws IllegalStateException if the model has none that takes further embeddings
     */
    public EmbeddingSite input() {
        if (embeddings.isEmpty()) {
            throw new IllegalStateException("the model has no embedding input that virtual tokens could be put before. "
                    + "Use a method for linear layers or taps.");
        }
        return embeddings.firstEntry().getValue();
    }

    /** The activations that taps may hold, by name. */
    public SequencedMap<String, TapSite> taps() {
        return java.util.Collections.unmodifiableSequencedMap(taps);
    }

    /**
     * Attaches an adapter and makes it active beside those that are.
     *
     * @throws IllegalArgumentException if the name is taken, or a hook names a place that the model does not have
     */
    public void attach(Hooks hooks) {
        if (attached.containsKey(hooks.name())) {
            throw new IllegalArgumentException("an adapter named '" + hooks.name()
                    + "' is attached already. Detach it or choose another name.");
        }
        Set<String> rows = hooks.projections().entrySet().stream().filter(e -> e.getValue() instanceof RowProjection)
                .map(Map.Entry::getKey).filter(tables::containsKey).collect(Collectors.toSet());
        check(hooks.projections().keySet().stream().filter(p -> !rows.contains(p)).toList(), projections.keySet(), "linear layer");
        check(hooks.overrides().keySet(), parameters.keySet(), "parameter");
        check(hooks.taps().keySet(), taps.keySet(), "tap");
        check(hooks.virtualTokens().keySet(), embeddings.keySet(), "embedding input");
        hooks.virtualTokens().forEach((site, tokens) -> {
            if (tokens.areLayered() && !embeddings.get(site).layered()) {
                throw new IllegalArgumentException("the adapter '" + hooks.name() + "' makes its virtual tokens anew before every block, and "
                        + "the blocks behind '" + site + "' have no place for that. Choose another method.");
            }
        });
        if (hooks.segments().isPresent() && attentions.isEmpty()) {
            throw new IllegalArgumentException("the adapter '" + hooks.name() + "' adds keys and values to attentions, and the model has none. "
                    + "Give it what the model has a place for: linear layers, taps, virtual tokens.");
        }
        attached.put(hooks.name(), hooks);
        active.add(hooks.name());
    }

    /**
     * Attaches an adapter whose hooks are made for every pass.
     *
     * @param hooks as they are now: where it hangs
     */
    public void attach(Hooks hooks, HookSource source) {
        attach(hooks);
        sources.put(hooks.name(), source);
    }

    private static void check(Collection<String> asked, Set<String> there, String kind) {
        for (String a : asked) {
            if (!there.contains(a)) {
                throw new IllegalArgumentException("the model has no " + kind + " '" + a + "'. It has: " + preview(there));
            }
        }
    }

    private static String preview(Set<String> names) {
        List<String> some = names.stream().sorted().limit(12).toList();
        return String.join(", ", some) + (names.size() > some.size() ? ", ... (" + names.size() + " in all)" : "");
    }

    /** Takes an adapter off. */
    public void detach(String name) {
        hooks(name);
        attached.remove(name);
        sources.remove(name);
        active.remove(name);
    }

    /** Chooses which attached adapters run by default, in this order; none for the bare model. */
    public void activate(String... names) {
        List<String> chosen = List.of(names);
        chosen.forEach(this::hooks);
        active.clear();
        active.addAll(chosen);
    }

    public List<String> active() {
        return List.copyOf(active);
    }

    public List<String> attached() {
        return List.copyOf(attached.keySet());
    }

    /** @throws IllegalArgumentException naming the adapters there are */
    public Hooks hooks(String name) {
        Hooks h = attached.get(name);
        if (h == null) {
            throw new IllegalArgumentException("no adapter named '" + name + "' is attached. Attached: " + attached.keySet());
        }
        return h;
    }

    /** All rows under the active adapters. What is made for every pass is made without derivatives. */
    public Pass inference() {
        return Pass.inference(Recording.off(() -> current(active)));
    }

    /** All rows under the active adapters, with training noise; gradients flow through what is made for the pass. */
    public Pass training(long seed, long step) {
        return Pass.training(current(active), seed, step);
    }

    /** Row i under adapter {@code names.get(i)}; an empty name is the bare model. */
    public Pass rows(List<String> names) {
        Map<String, List<Hooks>> once = new LinkedHashMap<>();
        names.forEach(n -> once.computeIfAbsent(n, k -> k.isEmpty() ? List.of() : Recording.off(() -> current(List.of(k)))));
        return Pass.rows(names.stream().map(once::get).toList());
    }

    private List<Hooks> current(List<String> names) {
        return names.stream().map(n -> sources.containsKey(n) ? sources.get(n).hooks(n) : hooks(n)).toList();
    }
}
